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
