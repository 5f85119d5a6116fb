package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A Collector reads to the end, whatever the pieces, and says why it could not.
func TestCollectorReadFrom(t *testing.T) {
	want := strings.Repeat("0123456789", 5*smallRoom/10)
	for _, r := range []io.Reader{strings.NewReader(want), iotest.OneByteReader(strings.NewReader(want)), iotest.DataErrReader(strings.NewReader(want))} {
		c := NewCollector(len(want), nil)
		if n, err := io.Copy(c, struct{ io.Reader }{r}); err != nil || n != int64(len(want)) || string(c.Bytes()) != want {
			t.Errorf("%d octets of %d, %v", n, len(want), err)
		}
		c.Release()
	}
	broken := errors.New("broken")
	c := NewCollector(len(want), nil)
	defer c.Release()
	if n, err := io.Copy(c, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))); n != 3 || !errors.Is(err, broken) {
		t.Errorf("%d octets, %v", n, err)
	}
	small := NewCollector(2, nil)
	if n, err := io.Copy(small, bytes.NewReader([]byte("abcdef"))); n != 6 || err != nil || small.Err() == nil {
		t.Errorf("more than may be: %d octets read, %v, %v", n, err, small.Err())
	}
}

// It makes no buffer of its own.
func BenchmarkCollectorReadFrom(b *testing.B) {
	text := bytes.Repeat([]byte("m"), 5000)
	b.ReportAllocs()
	for b.Loop() {
		c := NewCollector(len(text), nil)
		_, _ = io.Copy(c, struct{ io.Reader }{bytes.NewReader(text)}) // no error
		c.Release()
	}
}
