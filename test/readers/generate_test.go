package readers

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// signedPart is an entity with a signature over it.
type signedPart struct{ entity, signature string }

// entities are what is signed: structures in which a boundary around them, or a
// reader's idea of one, may find something.
var entities = []string{
	"Content-Type: text/plain\r\n\r\nSIGNED one",
	"Content-Type: text/html; charset=utf-8\r\n\r\n<p>SIGNED one</p>\r\n",
	"\r\nSIGNED one\r\nSIGNED two\r\n",
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSIGNED =C3=A9t=C3=A9 =\r\nlong\r\n",
	"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nU0lHTkVEIG9uZQ==\r\n",
	"Content-Type: text/plain\r\n\r\nSIGNED one\r\n--inner\r\n--A--\r\n--AB\r\nSIGNED two\r\n",
	"Content-Type: text/plain\r\n\r\nSIGNED one\r\n=41 --A=\r\nSIGNED two\r\n",
	"Content-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\n\r\nSIGNED one\r\n--inner\r\nContent-Type: text/x-log\r\n" +
		"Content-Disposition: attachment; filename=a.log\r\n\r\nSIGNED two\r\n--inner--\r\n",
	"Content-Type: multipart/alternative; boundary=\"A\"\r\n\r\n--A\r\n\r\nSIGNED one\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>SIGNED two</p>\r\n--A--",
	"Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n\r\nSIGNED one",
	"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: multipart/mixed; boundary=BA\r\n\r\n--BA\r\n\r\nSIGNED one\r\n--BA--\r\n--B--",
	"Content-Type: text/plain",
	"",
}

// boundaries are what a relay may choose to put around a signed part.
var boundaries = []string{
	"A", "A", "A", "A", "B", "AB", "ABC", "BAB", "inner", "innermost", "inn", "a", "-", "--", "A--", "A-", "--A", "A B", "A:b", "A/b", "A=b", "A?b", "(A)", "'A'",
	"A'b", "A+_", "%41", "A%20", "=?us-ascii?Q?A?=", "=_A", "----=_NextPart_000_0001", "A,b", "A.b", "A;b", "A\"b", "A\\b", "A ", " A", "A\tb", "A\x00b", "\xc3\xa9",
	strings.Repeat("x", 70), strings.Repeat("x", 71), strings.Repeat("x", 200), strings.Repeat("x", 251),
}

// junk is what is put into any place.
var junk = []string{
	" ", "\t", "\r\n", "\n", "\r", "\x00", "\x0b", "\x0c", "\x1f", "\x7f", "\x85", "\xa0", "\xc2\xa0", "\xe2\x80\xa8", "\"", "\\", "(", ")", "(x)", ";", ":", "=", "*", "*0", "%", "'",
	"<", ">", ",", "/", "--", "-", "\r\n ", "\r\n\t", "\r\n \r\n ", "\r\n\r\n", "=?", "?=", "=41", "=\r\n", "A", "--A", "\r\n--A\r\n", "\r\n--A--\r\n", "\r--A\r", "\n--A\n", "\ufeff",
}

// evil is what no reader may show beside a pass.
const evil = "<p>EVIL</p>"

// generator draws from a seeded source. One choice in rare is an odd one.
type generator struct {
	*rand.Rand
	rare int
}

func newGenerator(seed, number uint64) generator {
	r := rand.New(rand.NewPCG(seed, number))
	return generator{Rand: r, rare: 8 << r.IntN(4)}
}

// odd reports whether to do something out of the ordinary.
func (g generator) odd() bool { return g.IntN(g.rare) == 0 }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// one returns first mostly, and one of the others now and then.
func (g generator) one(first string, others ...string) string {
	if g.odd() {
		return g.pick(others...)
	}
	return first
}

// message puts a structure around a signed part that a relay could have made: a
// sound one that was bent in a few places.
func (g generator) message(p signedPart) []byte {
	boundary := g.pick("A", g.pick(boundaries...))
	header := g.header(boundary)
	line := "--" + boundary
	var b strings.Builder
	b.WriteString(header + "\r\n")
	b.WriteString(g.around(boundary, "This is an S/MIME signed message\r\n"))
	b.WriteString(line + g.padding() + "\r\n" + p.entity + "\r\n" + line + g.padding() + "\r\n")
	b.WriteString(g.second() + "\r\n" + p.signature + g.one("", "\r\n", "=", "\r\n\r\n"+evil+"\r\n", "EVIL"))
	b.WriteString("\r\n" + line + g.one("--", "", "-", "-- ", "---", "--x", "--\t", " --") + g.one("\r\n", "", "\n", "\r"))
	b.WriteString(g.around(boundary, "\r\nfooter of a list\r\n"))
	return []byte(g.bend(b.String(), p))
}

func (g generator) padding() string {
	return g.one("", " ", "\t", " \t ", "\x0b", "\x00", "-", "x", "--", "\r", ";", "\"", "\x85", "\x0c")
}

// header returns the fields of the message in any order and form.
func (g generator) header(boundary string) string {
	fields := []string{
		"From: bob@example.org", "To: alice@example.org", "Date: Thu, 1 Jan 2026 09:00:00 +0000",
		g.one("MIME-Version: 1.0", "Mime-Version: 1.0 (x)", "MIME-Version: 2.0", "X-None: 1"),
		g.contentType(boundary),
	}
	for g.IntN(g.rare) < 6 {
		fields = append(fields, g.pick(
			"Subject: hello", "Subject : x", "X: y\r\n z", "X: y\r\n \r\n z", "X:", "X: \x00", "X: \xff", "X:\r\n y", "X: a\x0bContent-Type: text/html", "X: a\x85b",
			"Content-Type: text/html", "content-type: multipart/mixed; boundary=\"B\"", "Content-Type : text/html", "Content-Type:", "Content-Type\t: text/html",
			"Content-Transfer-Encoding: "+g.pick("7bit", "8bit", "binary", "BASE64", "base64", "quoted-printable", "Quoted-Printable", "x-uuencode", "x-gzip64", "7bit (x)", "", "7bit; x=y", "unknown"),
			"Content-Disposition: "+g.pick("inline", "attachment", "attachment; filename=\"a.html\"", "attachment; filename=a.eml; filename=b.html", "x", ""),
			"Content-ID: <x@y>", "Content-Description: x", "Content-Location: a.html", "MIME-Version: 1.0", "Content-Type-X: text/html", "Content-Length: 3", "Lines: 1", "Status: RO",
		))
	}
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return strings.Join(fields, "\r\n") + "\r\n"
}

// contentType returns the field, with parameters that a reader may take another
// boundary from.
func (g generator) contentType(boundary string) string {
	other := g.pick("B", "C", boundary+"x", boundary[:len(boundary)/2], "x"+boundary)
	quoted := g.one(`"`+boundary+`"`, boundary, `'`+boundary+`'`, `"\`+boundary+`"`, `"`+boundary, "\"\r\n "+boundary+`"`, "<"+boundary+">")
	params := []string{
		g.one(`protocol="application/pkcs7-signature"`, "protocol=application/pkcs7-signature", `protocol="application/x-pkcs7-signature"`, `PROTOCOL = "application/pkcs7-signature"`,
			`protocol*="us-ascii''application%2Fpkcs7-signature"`, `protocol*0="application/"; protocol*1="pkcs7-signature"`, `protocol="application/pgp-signature"`, "x=y"),
		g.one("micalg=sha-256", `micalg="sha-256"`, "micalg=sha1,md5", "x=(", "micalg=", "micalg"),
		g.one("boundary="+quoted, "boundary=(x)"+quoted, "boundary="+quoted+"(x)", "BOUNDARY="+quoted, "boundary ="+quoted, "boundary= "+quoted, "boundary*="+quoted, "boundary*=us-ascii''"+boundary,
			"boundary*0="+quoted, "boundary*1="+quoted, "boundary*00="+quoted, "boundary*0*=''"+boundary, "boundary*-1="+quoted, "(x)boundary="+quoted, "boundary=\r\n "+quoted, "boundary:"+quoted),
	}
	for g.IntN(g.rare) < 4 {
		params = append(params, g.pick(
			"boundary="+other, "boundary*="+other, "boundary*0="+other, "boundary*0*=''"+other, "Boundary=\""+other+"\"", "x=\"; boundary="+other+"\"", "x=\\\"; boundary="+other+"; y=\\\"",
			"(; boundary="+other+")", "x=y; boundary", "xboundary="+other, "x-boundary="+other, "boundary\x00="+other, "boundary2="+other, "name=\"a.html\"", "name*=''a.html", "charset=utf-7", "x=y boundary="+other,
			"hp=clear", "format=flowed", "type=text/html", "start=\"<x@y>\"", "", "x", "=y",
		))
	}
	g.Shuffle(len(params), func(i, j int) { params[i], params[j] = params[j], params[i] })
	return g.one("Content-Type", "content-type", "CONTENT-TYPE", "Content-Type ", "Content-Type\t") + g.one(": ", ":", ":\t", ":\r\n ", ":(x) ", ": \r\n ") +
		g.one("multipart/signed", "Multipart/Signed", "multipart/signed (x)", "multipart / signed", "\"multipart/signed\"", "multipart/signed,text/html", "multipart/signed/x", "=?us-ascii?q?multipart/signed?=") +
		g.one("; ", ";", ";\r\n\t", " ; ", ";;", "\r\n ;") + strings.Join(params, g.one("; ", ";", ";\r\n ", ";\r\n\r\n ", "; ;", " ", ",")) + g.one("", ";", " ", "; ")
}

// around returns what stands before the first and behind the last delimiter.
func (g generator) around(boundary, harmless string) string {
	if g.IntN(g.rare) > 3 {
		return g.pick("", harmless)
	}
	other := g.pick(boundary, boundary+"x", boundary+" x", "B", "C", "(x)"+boundary, "(x)\""+boundary+"\"", "\\"+boundary, "\""+boundary+"\"", "'"+boundary+"'", "x"+boundary,
		strings.ToLower(boundary), boundary+boundary, boundary[:len(boundary)/2], "us-ascii''"+boundary, "", "=B", "-", boundary+"\x0b", boundary+"-", boundary+"--x", " "+boundary)
	end := g.pick("\r\n", "\r\n", "\n", "\r")
	text := "--" + other + end + g.pick("", "Content-Type: text/html"+end, "Content-Type: text/plain; name=x.html"+end) + end + evil + end
	switch g.IntN(5) {
	case 0:
		text = evil + end
	case 1:
		text = "begin 644 a.html\r\n+/'`^159)3#PO<#X \r\n`\r\nend\r\n"
	case 2:
		text = "Content-Type: text/html" + end + end + evil + end
	}
	return g.pick("", "\r\n", "x\r\n", "\r", "\n") + text + g.pick("", "--"+other+"--"+end)
}

// second returns the header of the signature part.
func (g generator) second() string {
	fields := []string{
		g.one("Content-Type: application/pkcs7-signature", "Content-Type: application/x-pkcs7-signature", "Content-Type: text/html", "Content-Type : application/pkcs7-signature",
			"Content-Type: application/pkcs7-mime", "Content-Type: message/rfc822", "Content-Type: multipart/mixed; boundary=B", "X: y", "Content-Type: (x)application/pkcs7-signature", "Content-Type: application/octet-stream") +
			g.one("; name=smime.p7s", "; name=\"smime.p7s\"", "", "; name=a.html", "; name=\"a.p7s\"; name=\"a.html\"", "; name*=''a.html", "; name=\"a.html\x00.p7s\"", "; name=\"a\\.p7s\"", "; name=\"=?us-ascii?q?a.html?=\""),
		g.one("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: BASE64", "Content-Transfer-Encoding: base64 (x)", "Content-Transfer-Encoding : base64", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit", "X: y"),
		g.one("Content-Disposition: attachment; filename=\"smime.p7s\"", "X: y", "Content-Disposition: inline", "Content-Disposition: attachment; filename=a.html", "Content-Disposition: attachment; filename*0=a.p7s; filename*1=.html",
			"Content-Disposition: attachment; filename=a.p7s; filename*=''a.html", "Content-Disposition: attachment; filename=\"a.p7s\"\r\nContent-Disposition: inline; filename=a.html", "Content-Disposition: attachment; filename=(x)a.html", "Content-Disposition: attachment; filename=a.html .p7s"),
	}
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return strings.Join(fields, "\r\n") + "\r\n"
}

// bend changes octets and line ends anywhere but in what is signed.
func (g generator) bend(text string, p signedPart) string {
	at := strings.Index(text, p.entity+"\r\n--")
	before, behind := text[:at], text[at+len(p.entity):]
	for g.IntN(g.rare) < 3 {
		part := &before
		if g.IntN(3) == 0 {
			part = &behind
		}
		i := g.IntN(len(*part))
		cut := min(len(*part), i+g.IntN(2)*g.IntN(3))
		*part = (*part)[:i] + g.one("", junk...) + g.pick(append(junk, "")...) + (*part)[cut:]
	}
	if g.IntN(12) == 0 {
		before = strings.ReplaceAll(before, "\r\n", "\n")
	}
	if g.IntN(12) == 0 {
		behind = strings.ReplaceAll(behind, "\r\n", "\n")
	}
	return before + p.entity + behind
}

func describe(i int, message []byte) string { return fmt.Sprintf("structure %d:\n%q", i, message) }
