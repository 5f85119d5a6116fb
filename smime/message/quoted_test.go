package message

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
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

// What is encoded as a stream is what is encoded in memory, whatever the writes.
func TestEncodeQuoted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"x", "xxxxxxxxxxxxxxxx", " ", "\t", "=", ".", "\r\n", "\r", "\n", "From ", "\xe4", "\x00"}
	for range 2000 {
		var text strings.Builder
		for range r.IntN(60) {
			text.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		for _, size := range []int{1, 7, 100} {
			var got bytes.Buffer
			e := EncodeQuoted(&got)
			_, err := io.CopyBuffer(struct{ io.Writer }{e}, &steps{[]byte(text.String()), size}, make([]byte, size))
			if err = errors.Join(err, e.Close()); err != nil || got.String() != quoted(t, text.String()) {
				t.Fatalf("%q in steps of %d: %q, want %q (%v)", text.String(), size, got.String(), quoted(t, text.String()), err)
			}
		}
	}
	if _, err := EncodeQuoted(failingWriter{}).Write([]byte("x\r\n")); err == nil {
		t.Error("a writer that fails is passed over")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
