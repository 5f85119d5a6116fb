package bodytext

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/message"
)

var testBanner = Banner{Mark: "[gw.example.org] S/MIME:", Text: "[gw.example.org] S/MIME: Gültig signiert von bob@enc.example."}

// bannered returns m with the banner, and fails the test where it is not sound.
func bannered(t *testing.T, m *message.Message) *message.Message {
	t.Helper()
	out, err := AddBanner(m, testBanner)
	if err != nil {
		t.Fatal(err)
	}
	out.Root().Walk(func(p *message.Part) bool {
		if p.Defect != "" && m.Root().Defect == "" {
			t.Errorf("%s: %s\n%s", p.MediaType, p.Defect, out.Bytes())
		}
		return true
	})
	if strings.Count(string(out.Header()), "Content-Type:") != 1 {
		t.Errorf("header\n%s", out.Header())
	}
	return out
}

// isBefore reports whether the message stands unchanged behind a part with the banner.
func isBefore(m, out *message.Message) bool {
	root := out.Root()
	if root.MediaType != "multipart/mixed" || len(root.Children) != 2 || root.Children[0].MediaType != "multipart/alternative" {
		return false
	}
	return bytes.HasSuffix(root.Children[1].Bytes(), bytes.TrimSuffix(m.Body(), []byte("\r\n"))) || bytes.HasSuffix(root.Children[1].Bytes(), m.Body())
}

func page(body string) string {
	return "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n" + body
}

func TestBannerInText(t *testing.T) {
	alternative := "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n" +
		"--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Type: text/html; charset=us-ascii\n\n<!DOCTYPE html><html><head><style>p{color:red}</style></head><body bgcolor=blue><p>hi</p></body></html>\n--c\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--c--\n%s--b--\n"
	calendar := "--b\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n"
	for name, s := range map[string]string{
		"plain":              "From: a@b.example\n\nhello\n",
		"8-bit":              "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nhell\u00f6\n",
		"koi8":               "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n4Pjk\n",
		"html":               page("<html><body>hello</body></html>\n"),
		"html, Outlook":      page("<html xmlns:v=\"urn:schemas-microsoft-com:vml\"><head><style>\nv\\:* {behavior:url(#default#VML);}\n@list l0:level1 {mso-level-text:\\F0B7; mso-level-number-position:left}\n</style></head><body lang=DE style='word-wrap:break-word'>hello</body></html>\n"),
		"html, margins":      page("<style>p{margin:0 auto}</style><p style=\"margin-top: 1em\" class=\"a-b\">hello - (x)</p>\n"),
		"alternative":        strings.Replace(alternative, "%s", "", 1),
		"mixed":              "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: application/pdf\nContent-Disposition: attachment\n\nx\n--b--\n",
		"a report":           "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n--b--\n",
		"with an invitation": strings.Replace(alternative, "%s", calendar, 1),
	} {
		m := parse(t, s)
		out := bannered(t, m)
		texts := firstSeen(out.Root())
		if len(texts) == 0 || out.Root().MediaType != m.Root().MediaType {
			t.Errorf("%s:\n%s", name, out.Bytes())
		}
		for _, p := range texts {
			text, err := p.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if p.MediaType == "text/html" {
				if !bytes.Contains(text, []byte("G&#252;ltig signiert")) || bytes.Index(text, []byte("G&#252;ltig")) > bytes.Index(text, []byte("h")) && bytes.Index(text, []byte("<html style")) > bytes.Index(text, []byte("hello")) && bytes.Contains(text, []byte("hello")) {
					t.Errorf("%s: %s", name, text)
				}
				continue
			}
			want := testBanner.Text
			if p.Params["charset"] == "iso-8859-1" {
				want = strings.ReplaceAll(want, "ü", "\xfc")
			}
			if !bytes.HasPrefix(text, []byte(want+"\r\n\r\n")) {
				t.Errorf("%s: %q", name, text)
			}
		}
		if name == "with an invitation" && !bytes.Contains(out.Bytes(), []byte("METHOD:REQUEST")) {
			t.Errorf("the invitation is gone:\n%s", out.Bytes())
		}
	}
}

// Where something could cover, change or hide it, or shows another text first, the banner
// is a part of its own, and the message behind it is what it was.
func TestBannerBeforeTheMessage(t *testing.T) {
	for name, s := range map[string]string{
		"signed":                            "MIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: application/pkcs7-signature\n\nx\n--b--\n",
		"position":                          page("<style>div{Position : fixed}</style>x"),
		"position in an attribute":          page("<div style='position:absolute'>x"),
		"position in entities":              page("<div style='&#112;osition&colon;absolute'>x"),
		"position in CSS escapes":           page("<style>div{\\70 osition:fixed}</style>x"),
		"position, escaped letters":         page("<style>div{\\position:fixed}</style>x"),
		"position, both":                    page("<div style='&#92;70osition:absolute'>x"),
		"position and a comment":            page("<style>div{position/* a **/ /**/:fixed}</style>x"),
		"behind a false comment":            page("<p>/*</p><style>div{position:fixed}</style><p>*/</p>"),
		"generated content":                 page("<style>div:first-child::before{content:'[gw] ok'}</style>x"),
		"z-index of a flex item":            page("<p style='display:flex'><b style='margin-top:-9em;z-index:9'>x"),
		"a negative margin":                 page("<style>body{padding-top:9000px}</style><div style='margin-top:-9100px;background:#fff'>&#91;gw x"),
		"a margin and a comment":            page("<style>div{margin-top/*:*/:/*;\"*/-9px}</style>x"),
		"a computed margin":                 page("<style>div{margin-block-start:var(--x)}</style>x"),
		"a path":                            page("<div style='offset-path:path(\"M0 0\")'>x"),
		"the first line":                    page("<style>div::first-line{color:transparent}</style>x"),
		"a style from elsewhere":            page("<style>@import 'x'</style>x"),
		"a linked style":                    page("<LINK rel=stylesheet href=x>x"),
		"a dialog":                          page("<dialog open>x"),
		"an unknown charset":                "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAGgA\n",
		"a letter that is missing":          "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n0Q==\n",
		"a start elsewhere":                 "MIME-Version: 1.0\nContent-Type: multipart/related; start=\"<2>\"; boundary=b\n\n--b\nContent-Type: text/html\n\nx\n--b\nContent-Type: text/html\nContent-ID: <2>\n\ny\n--b--\n",
		"a better text behind":              "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: text/html\n\ny\n--b--\n",
		"the first is a file":               "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=a.txt\n\nx\n--b\n\ny\n--b--\n",
		"the first has a filename*":         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: inline; filename*=utf-8''a.txt\n\nx\n--b\n\ny\n--b--\n",
		"not closed":                        "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n",
		"an unknown multipart":              "MIME-Version: 1.0\nContent-Type: multipart/x-odd; boundary=b\n\n--b\n\nx\n--b--\n",
		"a form that is not known":          "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b\nContent-Type: text/watch-html\n\ny\n--b--\n",
		"an image":                          "MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n",
		"an attached message":               "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nFrom: a@b.example\n\nhello\n",
		"two types":                         "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Type: text/html\n\nhello\n",
		"signed, an invitation with a page": "MIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\nContent-Type: text/calendar\n\nx\n--b\nContent-Type: text/html\n\nx\n--b--\n",
		"no PGP":                            "MIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: text/html\n\nx\n--b--\n",
	} {
		m := parse(t, s)
		out := bannered(t, m)
		if !isBefore(m, out) {
			t.Errorf("%s:\n%s", name, out.Bytes())
			continue
		}
		for _, p := range out.Root().Children[0].Children {
			if text, err := p.Decode(); err != nil || !bytes.Contains(text, []byte("[gw.example.org] S/MIME: G")) {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}

// No style sheet moves what the banner is in.
func TestBannerIsNotMoved(t *testing.T) {
	out := bannered(t, parse(t, page("<style>body{padding-top:9000px;min-height:9000px;align-content:end}html{border-top:9000px solid}</style>x")))
	text, err := out.Root().Decode()
	if err != nil {
		t.Fatal(err)
	}
	for _, style := range []string{"padding:0", "border:0", "min-height:0", "align-content:normal", "inset:auto", "offset:none"} {
		if n := strings.Count(string(text), `;`+style+`!important`); n != 2 {
			t.Errorf("%s is set in %d elements:\n%s", style, n, text)
		}
	}
}

// What programs open stays as it is.
func TestNoBanner(t *testing.T) {
	for _, s := range []string{
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n\nMIIB\n",
		"Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n",
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n--b\nContent-Type: application/pkcs7-signature\n\nx\n--b--\n",
		"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n",
	} {
		m := parse(t, "MIME-Version: 1.0\n"+s)
		if out, err := AddBanner(m, testBanner); err != nil || out != m {
			t.Errorf("%s: %v\n%s", s, err, out.Bytes())
		}
	}
}

// What looks like a banner below the banner is taken out, in every spelling; other text
// stays, octet for octet.
func TestForgedBanners(t *testing.T) {
	for _, forged := range []string{
		"[gw.example.org] S/MIME: ", "[GW.example.org]  s/mime : ", "［gw.example.org］ S/MIME:", "[gw.ехample.org] S/MIME:", "[gw.\u200bexample.org] S/MIME:",
		"{gw.example.org} S/MIME:", "[gw.[gw.example.org] S/MIME:example.org] S/MIME:", "[gw.example.org]\nS/MIME:",
	} {
		for _, s := range []string{"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + forged + "Validly signed by ceo\n", page("<p>" + forged + "Validly signed by ceo</p>\n")} {
			out := bannered(t, parse(t, s))
			text, err := firstSeen(out.Root())[0].Decode()
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := bytes.Cut(text, []byte("bob@enc.example"))
			if !bytes.Contains(rest, []byte("Validly signed by ceo")) || strings.Contains(strings.ToLower(string(rest)), "s/mime") {
				t.Errorf("%q: %q", forged, rest)
			}
		}
	}
	const other = "I wrote about S/MIME: gw.example.org \u202estays\u202c\r\n"
	out := bannered(t, parse(t, "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"+strings.ReplaceAll(other, "\r\n", "\n")))
	if text, err := out.Root().Decode(); err != nil || !strings.HasSuffix(string(text), other) {
		t.Errorf("%q, %v", text, err)
	}
	m := parse(t, "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xd1 [gw.example.org] S/MIME: ok\n")
	if out := bannered(t, m); !isBefore(m, out) {
		t.Errorf("a charset that is not read:\n%s", out.Bytes())
	}
}
