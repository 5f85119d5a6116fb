package dsn

import (
	"strings"
	"testing"
	"testing/fstest"
)

func textOf(t *testing.T, r Report) string {
	t.Helper()
	first := build(t, r).Root().Children[0]
	if first.Multipart() {
		first = first.Children[0]
	}
	text, err := first.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBuiltInTexts(t *testing.T) {
	for _, language := range languages() {
		texts, err := ReadTexts(language, nil)
		if err != nil {
			t.Fatal(err)
		}
		for kind, name := range names {
			r := sample(t)
			r.Kind, r.Texts = kind, texts
			if text := textOf(t, r); !strings.Contains(text, "bob@example.net") || strings.Contains(text, map[string]string{"en": "expired 2026-03-01", "de": "abgelaufen 2026-03-01"}[language]) != (kind != Relayed) {
				t.Errorf("%s/%s:\n%s", language, name, text)
			}
		}
	}
	german, err := ReadTexts("de", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := sample(t)
	r.Kind, r.Texts = Stripped, german
	if got := build(t, r).Get("Subject"); got != "=?utf-8?q?Ihre_Nachricht_wurde_nicht_an_alle_Empf=C3=A4nger_gesendet?=" {
		t.Errorf("subject %q", got)
	}
}

func TestTextsOfAFolder(t *testing.T) {
	texts, err := ReadTexts("", fstest.MapFS{
		"failed.txt":  {Data: []byte("Subject: No {{len .Recipients}}\r\n\r\n{{range .Recipients}}{{.Address}}: {{.Reason}}{{end}}\n")},
		"failed.html": {Data: []byte("<p>{{range .Recipients}}{{.Reason}}{{end}}</p>\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := sample(t)
	r.Texts = texts
	r.Recipients[0].Reply.Text = "<script>\r\n--report-a1b2\r\n"
	m := build(t, r)
	if m.Get("Subject") != "No 1" || len(m.Root().Children) != 3 {
		t.Errorf("report:\n%s", m.Bytes())
	}
	alternatives := m.Root().Children[0]
	if alternatives.MediaType != "multipart/alternative" || len(alternatives.Children) != 2 {
		t.Fatalf("first part is %s with %d parts", alternatives.MediaType, len(alternatives.Children))
	}
	html, err := alternatives.Children[1].Decode()
	if err != nil || strings.Contains(string(html), "<script>") || !strings.Contains(string(html), "&lt;script&gt;") {
		t.Errorf("html %q (%v)", html, err)
	}
	r.Kind = Delayed // not in the folder
	if got := build(t, r).Get("Subject"); got != "Your message is delayed" {
		t.Errorf("subject %q", got)
	}
}

func TestBrokenTexts(t *testing.T) {
	if _, err := ReadTexts("la", nil); err == nil || !strings.Contains(err.Error(), `"la"`) {
		t.Errorf("language: %v", err)
	}
	for text, want := range map[string]string{
		"no subject\n\nx":            "Subject:",
		"Subject: x\nY: z\n\nx":      "Subject:",
		"Subject: x\n\n{{.Secret}}":  "Secret",
		"Subject: x\n\n{{range .}}":  "failed.txt",
		"Subject: {{.Original}}\n\n": "Original",
	} {
		if _, err := ReadTexts("", fstest.MapFS{"failed.txt": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}
