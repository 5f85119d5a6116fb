package message

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func quoted(t testing.TB, text string) string {
	t.Helper()
	p := Quoted([]byte(text))
	out, err := p.appendTo(nil)
	if err != nil || len(out) != p.size() {
		t.Fatalf("%q: %d octets, said %d: %v", text, len(out), p.size(), err)
	}
	return string(out)
}

func TestQuoted(t *testing.T) {
	x := strings.Repeat("x", 75)
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a\r\nb", "a\r\nb"},
		{"a=b\tc", "a=3Db\tc"},
		{"a \r\nb\t", "a=20\r\nb=09"},
		{" \r\n", "=20\r\n"},
		{".\r\n..", "=2E\r\n.."},
		{"From a\r\n>From b\r\nFromage", "=46rom a\r\n>From b\r\nFromage"},
		{"a\rb\nc\x00\xff", "a=0Db=0Ac=00=FF"},
		{x + "y", x + "y"},
		{x + "yz", x + "=\r\nyz"},
		{x + " ", x + "=\r\n=20"},
		{x + "=", x + "=\r\n=3D"},
		{x[:73] + "=", x[:73] + "=3D"},
		{x + "From b", x + "=\r\n=46rom b"},
		{x + "..", x + "=\r\n.."},
		{x[:74] + "x.", x[:74] + "x."},
	} {
		if got := quoted(t, tt.in); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// What is quoted travels, and reads back.
func FuzzQuoted(f *testing.F) {
	for _, in := range []string{"", "From x \r\n.\r\n", strings.Repeat("ab =", 50), "\r\r\n\n"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out := quoted(t, string(in))
		if !ScanLines([]byte(out)).Sturdy(quotedLine) {
			t.Fatalf("%q: %q does not travel", in, out)
		}
		back, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(out)))
		if err != nil || !bytes.Equal(back, in) {
			t.Fatalf("%q: %q reads back as %q, %v", in, out, back, err)
		}
	})
}
