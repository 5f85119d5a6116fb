package smime

import (
	"strings"
	"testing"
)

// TestLegacyDisplay: the texts begin with what is hidden, and those alone are marked.
func TestLegacyDisplay(t *testing.T) {
	w := newWorld(t)
	const element = `<div class="header-protection-legacy-display"><pre>Subject: hello</pre></div>`
	alternative := "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=a\n\n" +
		"--a\nContent-Type: text/plain; charset=utf-8\n\nbody\n--a\nContent-Type: text/html; charset=utf-8\n\n" +
		"<html><Body title=\"a>b\"><p>body</p></body></html>\n--a--\n\n--m\nContent-Type: text/plain\n" +
		"Content-Disposition: attachment\n\nnote\n--m--\n"
	for name, tt := range map[string]struct {
		text   string
		want   []string // in what is read, in this order
		marked int
	}{
		"plain":           {"Content-Type: text/plain; charset=utf-8\n\nbody\n", []string{"\r\n\r\nSubject: hello\r\n\r\nbody\r\n"}, 1},
		"no content type": {"\nbody\n", []string{"charset=us-ascii", "\r\n\r\nSubject: hello\r\n\r\nbody\r\n"}, 1},
		"base64":          {"Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\nYm9keQ0K\n", []string{"\r\n\r\nU3ViamVjdDogaGVsbG8NCg0KYm9keQ0K"}, 1},
		"keywords":        {"Keywords: merger\nComments:\nContent-Type: text/plain; charset=utf-8\n\nbody\n", []string{"\r\n\r\nSubject: hello\r\nKeywords: merger\r\n\r\nbody\r\n"}, 1},
		"fragment":        {"Content-Type: text/html; charset=utf-8\n\n<p>body</p>\n", []string{"\r\n\r\n" + element + "\r\n<p>body</p>"}, 1},
		"alternative":     {alternative, []string{"\r\n\r\nSubject: hello\r\n\r\nbody\r\n", `"a>b">` + element + "\r\n<p>body</p>", "\r\n\r\nnote\r\n"}, 2},
		"no text":         {"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nYm9keQ0K\n", []string{"\r\n\r\nYm9keQ0K"}, 0},
		"another charset": {"Content-Type: text/plain; charset=utf-16; hp-legacy-display=1\nContent-Transfer-Encoding: base64\n\nYm9keQ0K\n", []string{"\r\n\r\nYm9keQ0K"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := mail(t, tt.text)
			o := SignOptions{Headers: HeadersCipherDisplay}
			opaque := o
			opaque.Opaque = true
			encrypted := EncryptOptions{Headers: HeadersCipherDisplay}
			for way, sent := range map[string]string{
				"signed":    string(w.sign(t, m, w.alice, o).Root().Children[0].Bytes()),
				"opaque":    string(w.open(encrypt(t, w.sign(t, m, w.alice, opaque), EncryptOptions{}, w.bob), w.bob).unwrapped.Bytes()),
				"encrypted": string(w.open(encrypt(t, m, encrypted, w.bob), w.bob).unwrapped.Bytes()),
			} {
				sent = strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(sent) // of quoted-printable
				rest := sent
				for _, want := range tt.want {
					_, after, found := strings.Cut(rest, want)
					if !found {
						t.Fatalf("%s: lacks %q:\n%s", way, want, sent)
					}
					rest = after
				}
				if n := strings.Count(sent, "hp-legacy-display=1"); n != tt.marked || strings.Count(sent, `hp="cipher"`) != 1 {
					t.Errorf("%s: %d marks, want %d:\n%s", way, n, tt.marked, sent)
				}
			}
		})
	}
	plain := mail(t, "Content-Type: text/plain\n\nbody\n")
	got := encrypt(t, plain, EncryptOptions{Headers: HeadersCipherDisplay}, w.bob)
	if opened := w.open(got, w.bob); got.Get("Subject") != "[...]" || opened.Message.Get("Subject") != "hello" {
		t.Errorf("the subject outside is %q, opened %q", got.Get("Subject"), opened.Message.Get("Subject"))
	}
}

// TestLegacyDisplayIsOneLine: no subject ends the display before its time.
func TestLegacyDisplayIsOneLine(t *testing.T) {
	if got := oneLine("a\r\n\r\nb\tc\x00 d"); got != "a b c d" {
		t.Errorf("%q", got)
	}
}

// TestLegacyDisplayIsRemoved: what is not signed is delivered without it, if the header says
// the same.
func TestLegacyDisplayIsRemoved(t *testing.T) {
	w := newWorld(t)
	const header = "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nKeywords: merger\r\nFrom: alice@example.org\r\n"
	plain := func(charset, body string) string {
		return "Content-Type: text/plain" + charset + "; hp=cipher; hp-legacy-display=1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body
	}
	html := func(body string) string { return strings.Replace(plain("", body), "text/plain", "text/html", 1) }
	for name, tt := range map[string]struct{ payload, want string }{
		"plain":                 {plain("; charset=utf-8", "Subject: grüße\r\nKeywords:  merger\r\n\r\nbody\r\n"), "body\r\n"},
		"Latin-1":               {plain("; charset=iso-8859-1", "Subject: gr\xfc\xdfe\r\n\r\nb\xf6dy\r\n"), "b\xf6dy\r\n"},
		"LF":                    {strings.ReplaceAll(plain("", "Keywords: merger\n\nbody\n"), "\r\n", "\n"), "body\r\n"},
		"HTML":                  {html("<html><body>\r\n" + `<div class="header-protection-legacy-display"><pre>Subject: gr&#252;&#xdf;e` + "\r\nKeywords: merger</pre></div>\r\n<p>body</p>"), "<html><body>\r\n<p>body</p>"},
		"another subject":       {plain("", "Subject: other\r\n\r\nbody\r\n"), "Subject: other\r\n\r\nbody\r\n"},
		"a field that is none":  {plain("", "Keywords: merger\r\nX-Note: pay\r\n\r\nbody\r\n"), "Keywords: merger\r\nX-Note: pay\r\n\r\nbody\r\n"},
		"a text":                {plain("", "Keywords: merger\r\npay at once\r\n\r\nbody\r\n"), "Keywords: merger\r\npay at once\r\n\r\nbody\r\n"},
		"no blank line":         {plain("", "Keywords: merger\r\n"), "Keywords: merger\r\n"},
		"nothing before it":     {plain("", "\r\n\r\nbody\r\n"), "\r\n\r\nbody\r\n"},
		"HTML inside":           {html(`<div class="header-protection-legacy-display"><pre>Keywords: merger<b>x</b></pre></div>body`), `<div class="header-protection-legacy-display"><pre>Keywords: merger<b>x</b></pre></div>body`},
		"HTML without an end":   {html(`<div class="header-protection-legacy-display"><pre>Keywords: merger</pre>body`), `<div class="header-protection-legacy-display"><pre>Keywords: merger</pre>body`},
		"not marked":            {strings.Replace(plain("", "Keywords: merger\r\n\r\nbody\r\n"), "legacy-display=1", "legacy-display=0", 1), "Keywords: merger\r\n\r\nbody\r\n"},
		"the header stays away": {strings.Replace(plain("", "Keywords: merger\r\n\r\nbody\r\n"), "hp=cipher", "hp=clear", 1), "Keywords: merger\r\n\r\nbody\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := w.open(seal(t, w, mail(t, text), []byte(header+tt.payload)), w.bob)
			body, err := opened.Message.Root().Decode()
			if err != nil || string(body) != tt.want {
				t.Errorf("%q, %v, want %q", body, err, tt.want)
			}
			_, sent, _ := strings.Cut(crlf(strings.ReplaceAll(tt.payload, "\r\n", "\n")), "\r\n\r\n")
			if mark := opened.Message.Root().Params["hp-legacy-display"]; (mark == "") != (sent != tt.want) {
				t.Errorf("the mark is %q\n%s", mark, opened.Message.Header())
			}
		})
	}
}
