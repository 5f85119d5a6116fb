package smime

import (
	"html"
	"strings"
	"time"
)

// A vector is one of the messages in appendix C of RFC 9788, by its description there. The
// appendix makes all of them by the same rules, so that they can be made again.
type vector struct {
	name    string // its subject, and the left part of its Message-ID
	section string // of the appendix
	form    vectorKind
	scheme  vectorScheme
	policy  string // "baseline" or "shy", where it is encrypted with header protection
	// display says that the texts begin with a legacy display.
	display bool
	answers string // the name of the message that it answers
	at      string // its time, in a zone five hours behind UTC
	// mixed and alternative are the boundaries of a complex message, which has two texts and
	// an image; one without is a text.
	mixed, alternative string
	// digest is the messageDigest attribute of its signature, and signature what that ends
	// with, both as the RFC has them.
	digest, signature string
}

type vectorKind int

const (
	plainVector     vectorKind = iota
	opaqueVector               // signedData
	clearVector                // multipart/signed
	encryptedVector            // envelopedData around signedData
)

type vectorScheme int

const (
	noScheme      vectorScheme = iota // no header protection
	hpScheme                          // that of RFC 9788
	rfc8551Scheme                     // that of RFC 8551 section 3.1
)

const vectorPNG = "iVBORw0KGgoAAAANSUhEUgAAABQAAAAUCAYAAACNiR0NAAAAcElEQVR42uVTOxbA\n" +
	"MAgS739nO3TpRw20dqpbfARQEjOywiwYnCtkDKnbcLk66sqlT+zt9cidkE+6KwkZ\n" +
	"sgrzfcqVMpL2jo0447gYDpeArk+OnJHkIhAfTPRicihAf5YJrw7vjv0ZWRWM/uli\n" +
	"vdPf1QZ2kDD9xppd8wAAAABJRU5ErkJggg==\n"

func (v *vector) complex() bool { return v.mixed != "" }

// time is that of the message, and of its signature.
func (v *vector) time() time.Time {
	at, err := time.Parse("2006-01-02 15:04:05 -0700", "2021-02-20 "+v.at+":02 -0500")
	if err != nil {
		panic(err)
	}
	return at
}

// field is one of the header, by name and value.
type vectorField struct{ name, value string }

// header is the header that the author wrote.
func (v *vector) header() []vectorField {
	list := []vectorField{
		{"Subject", v.name},
		{"Message-ID", "<" + v.name + "@example>"},
		{"From", "Alice <alice@smime.example>"},
		{"To", "Bob <bob@smime.example>"},
		{"Date", v.time().Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"User-Agent", "Sample MUA Version 1.0"},
	}
	if v.answers != "" {
		list = append(list, vectorField{"In-Reply-To", "<" + v.answers + "@example>"}, vectorField{"References", "<" + v.answers + "@example>"})
	}
	return list
}

// outer is what of it is outside of the encryption (sections 3.2.1 and 3.2.2).
func (v *vector) outer() []vectorField {
	list := v.header()
	if v.policy == "" {
		return list
	}
	for i, f := range list {
		switch {
		case f.name == "Subject":
			list[i].value = "[...]"
		case v.policy == "baseline":
		case f.name == "From" || f.name == "To":
			_, value, _ := strings.Cut(f.value, "<")
			list[i].value = strings.TrimSuffix(value, ">")
		case f.name == "Date":
			list[i].value = v.time().UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")
		}
	}
	return list
}

// hidden is what of the header differs outside, by its real values: what a legacy display
// shows.
func (v *vector) hidden() (lines []string) {
	outer := v.outer()
	for i, f := range v.header() {
		if outer[i] != f {
			lines = append(lines, f.name+": "+f.value)
		}
	}
	return lines
}

// sentence describes the message in its own text.
func (v *vector) sentence() string {
	content := "text/plain message"
	if v.complex() {
		content = "multipart/alternative message with an inline image/png attachment"
	}
	switch v.form {
	case plainVector:
		return "This message uses no cryptographic protection at all.  Its Body is a " + content + "."
	case opaqueVector:
		content = "This is a signed-only S/MIME message via PKCS#7 signedData.  The payload is a " + content
	case clearVector:
		content = "This is a signed-only S/MIME message via PKCS#7 detached signature (multipart/signed).  The payload is a " + content
	case encryptedVector:
		content = "This is a signed-and-encrypted S/MIME message using PKCS#7 envelopedData around signedData.  The payload is a " + content
	}
	content += ". It uses "
	switch v.scheme {
	case noScheme:
		content += "no Header Protection"
	case hpScheme:
		content += "the Header Protection scheme from RFC 9788"
	case rfc8551Scheme:
		content += "the legacy RFC 8551 Header Protection (RFC8551HP) scheme"
	}
	if v.policy != "" {
		content += " with the `hcp_" + v.policy + "` Header Confidentiality Policy"
	}
	if v.display {
		content += " with a \"Legacy Display\" element"
	}
	return content + "."
}

// folded breaks a text at blanks into lines of at most 64 characters.
func folded(text string) string {
	var lines []string
	for len(text) > 64 {
		at := strings.LastIndexByte(text[:65], ' ')
		lines = append(lines, strings.TrimRight(text[:at], " "))
		text = strings.TrimLeft(text[at:], " ")
	}
	return strings.Join(append(lines, text), "\n")
}

// text is what it says as text/plain, without the last line end.
func (v *vector) text() string {
	top := ""
	if v.display {
		top = strings.Join(v.hidden(), "\n") + "\n\n"
	}
	return top + "This is the\n" + v.name + "\nmessage.\n\n" + folded(v.sentence()) + "\n\n-- \nAlice\nalice@smime.example"
}

// html is what it says as text/html.
func (v *vector) html() string {
	top, end := "", "<br/>"
	if v.display { // the HTML is written again, by another program
		top, end = "<div class=\"header-protection-legacy-display\">\n<pre>\n"+html.EscapeString(strings.Join(v.hidden(), "\n"))+"\n</pre>\n</div>", "<br>"
	}
	return "<html><head><title></title></head><body>\n" + top + "<p>This is the\n<b>" + v.name + "</b>\nmessage.</p>\n<p>" + folded(v.sentence()) +
		"</p>\n<p><tt>-- " + end + "Alice" + end + "alice@smime.example</tt></p></body></html>"
}

// line writes a field, folded as the appendix does.
func (f vectorField) line() string {
	line := f.name + ": " + f.value
	if len(line) <= 64 {
		return line + "\n"
	}
	if name, value, ok := strings.Cut(f.value, ": "); ok && len(f.value) > 63 {
		return f.name + ": " + name + ":\n " + value + "\n"
	}
	return f.name + ":\n " + f.value + "\n"
}

func writeVectorFields(list []vectorField) string {
	var b strings.Builder
	for _, f := range list {
		b.WriteString(f.line())
	}
	return b.String()
}

// protected is the header that header protection puts into the payload.
func (v *vector) protected() string {
	if v.scheme != hpScheme {
		return ""
	}
	list := v.header()
	if v.form == encryptedVector {
		for _, f := range v.outer() {
			list = append(list, vectorField{"HP-Outer", f.name + ": " + f.value})
		}
	}
	return writeVectorFields(list)
}

// hp is the parameter of the payload's Content-Type.
func (v *vector) hp() string {
	switch {
	case v.scheme != hpScheme:
		return ""
	case v.form == encryptedVector:
		return `; hp="cipher"`
	}
	return `; hp="clear"`
}

// entity is the message without what is done to it: its payload, or its content, with LF
// line ends. The fields given stand where the appendix has the header of the entity.
func (v *vector) entity(fields string) string {
	if v.complex() {
		return v.complexEntity(fields)
	}
	kind, encoding := `Content-Type: text/plain; charset="utf-8"`, "Content-Transfer-Encoding: 7bit\n"
	switch {
	case v.display:
		return "MIME-Version: 1.0\n" + encoding + fields + kind + ";\n hp-legacy-display=\"1\"" + v.hp() + "\n\n" + v.text() + "\n"
	case v.scheme == hpScheme:
		return "MIME-Version: 1.0\n" + encoding + fields + kind + v.hp() + "\n\n" + v.text() + "\n"
	}
	return "MIME-Version: 1.0\n" + kind + "\n" + encoding + fields + "\n" + v.text() + "\n"
}

func (v *vector) complexEntity(fields string) string {
	kind := `Content-Type: multipart/mixed; boundary="` + v.mixed + `"` + v.hp() + "\n"
	if v.scheme == hpScheme {
		kind = fields + kind
	} else {
		kind += fields
	}
	return "MIME-Version: 1.0\n" + kind + "\n--" + v.mixed + "\n" +
		"MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"" + v.alternative + "\"\n\n--" + v.alternative + "\n" +
		v.partHeader("text/plain") + "\n" + v.text() + "\n--" + v.alternative + "\n" +
		v.partHeader("text/html") + "\n" + v.html() + "\n--" + v.alternative + "--\n\n--" + v.mixed + "\n" +
		"Content-Type: image/png\nContent-Transfer-Encoding: base64\nContent-Disposition: inline\n\n" + vectorPNG + "\n--" + v.mixed + "--\n"
}

func (v *vector) partHeader(mediaType string) string {
	kind := "Content-Type: " + mediaType + `; charset="us-ascii"`
	if v.display {
		return "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n" + kind + ";\n hp-legacy-display=\"1\"\n"
	}
	return kind + "\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n"
}

// payload is what is signed. The appendix has the line ends of a wrapped message as they
// are in memory where it is signed in one piece.
func (v *vector) payload() string {
	if v.scheme == rfc8551Scheme {
		inside := v.entity(writeVectorFields(v.header()))
		if v.form == clearVector {
			inside = crlf(inside)
		}
		return crlf("MIME-Version: 1.0\nContent-Type: message/rfc822\n\n") + inside
	}
	return crlf(v.entity(v.protected()))
}

// unprotected is the message as its author wrote it, before anything is done to it.
func (v *vector) unprotected() string {
	bare := *v
	bare.scheme, bare.display = noScheme, false
	return crlf(bare.entity(writeVectorFields(v.header())))
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
