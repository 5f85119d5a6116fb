package bodytext

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/smime/message"
)

func parse(t testing.TB, s string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// add adds a footer, and checks what holds for every message: the header is the
// same but for its Content-* fields, nothing is ambiguous, and a second time
// changes nothing where the text could be changed.
func add(t testing.TB, m *message.Message, f Footer) *message.Message {
	t.Helper()
	out, err := AddFooter(m, f)
	if err != nil {
		t.Fatal(err)
	}
	out.Root().Walk(func(p *message.Part) bool {
		if p.Defect != "" {
			t.Errorf("%s: %s\n%s", p.MediaType, p.Defect, out.Bytes())
		}
		return true
	})
	if out.Get("Subject") != m.Get("Subject") || out.Get("From") != m.Get("From") {
		t.Errorf("the header has changed:\n%s", out.Bytes())
	}
	return out
}

// texts are the decoded leaves with their types.
func texts(t testing.TB, m *message.Message) string {
	t.Helper()
	var b strings.Builder
	m.Root().Walk(func(p *message.Part) bool {
		if len(p.Children) > 0 {
			return true
		}
		data, err := p.Decode()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(p.MediaType)
		if c := p.Params["charset"]; c != "" {
			b.WriteString("/" + c)
		}
		b.WriteString("/" + p.Encoding + "{" + strings.ReplaceAll(string(data), "\r\n", "|") + "}")
		return true
	})
	return b.String()
}

const head = "From: a@own.example\nSubject: s\n"

var ascii, umlaut = Footer{Text: "-- \nOwn GmbH\n"}, Footer{Text: "Geschäftsführer: Jörg"}

func TestAdd(t *testing.T) {
	for _, tt := range []struct {
		name, message string
		footer        Footer
		want          string
	}{
		{"no type", "\nhello\n", ascii, "text/plain/7bit{hello||-- |Own GmbH|}"},
		{"none", "\nhello\n", Footer{}, "text/plain/7bit{hello|}"},
		{"no last line end", "\nhello", ascii, "text/plain/7bit{hello||-- |Own GmbH|}"},
		{"ASCII becomes UTF-8", "\nhello\n", umlaut, "text/plain/utf-8/quoted-printable{hello||Geschäftsführer: Jörg|}"},
		{"us-ascii becomes UTF-8", "Content-Type: text/plain; charset=us-ascii; format=flowed\n\nhello\n", umlaut, "text/plain/utf-8/quoted-printable{hello||Geschäftsführer: Jörg|}"},
		{"latin", "Content-Type: text/plain; charset=ISO-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n", umlaut,
			"text/plain/ISO-8859-1/quoted-printable{Gr\xfc\xdfe||Gesch\xe4ftsf\xfchrer: J\xf6rg|}"},
		{"latin has no euro", "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nGr\xfc\xdfe\n", Footer{Text: "1 €"},
			"text/plain/iso-8859-1/8bit{Gr\xfc\xdfe|}text/plain/utf-8/quoted-printable{1 €}"},
		{"a charset that is not like ASCII", "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\naABpAA==\n", ascii,
			"text/plain/utf-16le/base64{h\x00i\x00}text/plain/utf-8/quoted-printable{-- |Own GmbH}"},
		{"8-bit UTF-8", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n", umlaut,
			"text/plain/utf-8/quoted-printable{Grüße||Geschäftsführer: Jörg|}"},
		{"base64", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQo=\n", umlaut,
			"text/plain/utf-8/base64{Grüße\n\nGeschäftsführer: Jörg\n}"},
		{"flowed", "Content-Type: text/plain; format=flowed\n\nhello \nworld \n", Footer{Text: "-- \n> big \n indented"},
			"text/plain/7bit{hello |world ||-- | > big|  indented|}"},
		{"there already", "\nhello\n\n-- \nOwn GmbH\n", ascii, "text/plain/7bit{hello||-- |Own GmbH|}"},
		{"HTML", "Content-Type: text/html; charset=iso-8859-15\n\n<html><BODY>hello</BODY></html>\n", Footer{Text: "5 < 6 €\nx"},
			"text/html/iso-8859-15/7bit{<html><BODY>hello|<p>5 &lt; 6 &#8364;<br>|x</p>|</BODY></html>|}"},
		{"HTML of its own", "Content-Type: text/html\n\nhello\n", Footer{Text: "x", HTML: "<hr>Jörg"}, "text/html/7bit{hello||<hr>J&#246;rg|}"},
		{"HTML there already", "Content-Type: text/html\n\n<body>hello\n<p>x</p>\n</body>\n", Footer{Text: "x"}, "text/html/7bit{<body>hello|<p>x</p>|</body>|}"},
		{"only a picture", "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n", ascii,
			"image/png/base64{\x00\x00\x00}text/plain/utf-8/quoted-printable{-- |Own GmbH}"},
		{"only an attachment", "Content-Type: text/plain\nContent-Disposition: ATTACHMENT; filename=x.txt\n\ndata\n", ascii,
			"text/plain/7bit{data|}text/plain/utf-8/quoted-printable{-- |Own GmbH}"},
		{"a report", "Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b--\n", ascii, "text/plain/7bit{x}"},
		{"an opaque signature", "Content-Type: application/pkcs7-mime\n\nAAAA\n", ascii, "application/pkcs7-mime/7bit{AAAA|}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := texts(t, add(t, parse(t, head+tt.message), tt.footer)); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

const mixed = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

preamble
--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8

hello
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html

<p>hello</p>
--r
Content-Type: image/gif
Content-Transfer-Encoding: base64

AAAA
--r--

--a--

--m
Content-Type: text/plain
Content-Disposition: attachment

data
--m--
epilogue
`

// Both forms of the text get it, and nothing else does.
func TestAddToAlternatives(t *testing.T) {
	m := add(t, parse(t, head+mixed), Footer{Text: "x"})
	want := "text/plain/utf-8/7bit{hello||x|}text/html/7bit{<p>hello</p>|<p>x</p>|}image/gif/base64{\x00\x00\x00}text/plain/7bit{data}"
	if got := texts(t, m); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !bytes.Contains(m.Bytes(), []byte("preamble")) || !bytes.HasSuffix(m.Bytes(), []byte("epilogue\r\n")) {
		t.Errorf("what is around has changed:\n%s", m.Bytes())
	}
	again := add(t, m, Footer{Text: "x"})
	if !bytes.Equal(again.Bytes(), m.Bytes()) {
		t.Errorf("a second footer:\n%s", again.Bytes())
	}
	// A form that cannot be changed would be shown without it.
	odd := parse(t, head+strings.Replace(mixed, "text/html", "text/enriched", 1))
	if m := add(t, odd, Footer{Text: "x"}); len(m.Root().Children) != 2 || m.Root().Children[1].MediaType != "text/plain" {
		t.Errorf("not beside it:\n%s", m.Bytes())
	}
}

// What is signed stays octet for octet, as one part.
func TestAddBesideWhatIsSigned(t *testing.T) {
	const signed = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\n" +
		"\n--s\nContent-Type: text/plain\n\nhello \n\nFrom me\n--s\nContent-Type: application/pkcs7-signature\n\nAAAA\n--s--\n\n"
	before := parse(t, head+"MIME-Version: 1.0\n"+signed)
	m := add(t, before, umlaut)
	root := m.Root()
	if root.MediaType != "multipart/mixed" || len(root.Children) != 2 || root.Children[0].MediaType != "multipart/signed" {
		t.Fatalf("structure:\n%s", m.Bytes())
	}
	if !bytes.Equal(root.Children[0].Content(), before.Body()) {
		t.Errorf("what was signed has changed:\n%q\n%q", root.Children[0].Content(), before.Body())
	}
	if n := len(m.All("MIME-Version")); n != 1 {
		t.Errorf("%d fields MIME-Version", n)
	}
}

// Whatever the message, the result is one that can be read, in which the text
// of the sender and the footer are, 7-bit where it was.
func TestAddAlwaysReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`([a-zA-Z .=>-]{0,30}\n){0,4}`).Draw(t, "body")
		kind := rapid.SampledFrom([]string{"", "Content-Type: text/plain; charset=utf-8\n", "Content-Type: text/html\n", "Content-Type: text/plain; format=flowed\n",
			"Content-Type: multipart/mixed; boundary=b\n", "Content-Type: application/x-thing\n"}).Draw(t, "kind")
		text := rapid.StringMatching(`[a-zA-Zäöü€ .\n-]{0,40}`).Draw(t, "footer") + "z"
		if strings.Contains(kind, "multipart") {
			body = "--b\n\n" + body + "--b--\n"
		}
		m, err := message.Parse([]byte(strings.ReplaceAll(head+kind+"\n"+body, "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		out, err := AddFooter(m, Footer{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if !message.ScanLines(out.Bytes()).ASCII || message.ScanLines(out.Bytes()).Longest > 998 {
			t.Fatalf("not 7-bit:\n%s", out.Bytes())
		}
		found := false
		out.Root().Walk(func(p *message.Part) bool {
			data, err := p.Decode()
			found = found || err == nil && len(p.Children) == 0 && bytes.Contains(data, []byte("z"))
			if err == nil && strings.EqualFold(p.Params["charset"], "utf-8") && !utf8.Valid(data) {
				t.Fatalf("not UTF-8: %q", data)
			}
			return true
		})
		if !found {
			t.Fatalf("no footer in\n%s", out.Bytes())
		}
	})
}
