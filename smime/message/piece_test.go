package message

import (
	"bytes"
	"strings"
	"testing"
)

func TestBase64Piece(t *testing.T) {
	for n := range 400 {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i*7 + n)
		}
		for _, room := range []int{0, 10_000} {
			p := Base64(Octets(src))
			got, err := p.appendTo(append(make([]byte, 0, room), "x"...))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1+p.size() {
				t.Fatalf("%d octets: size %d, said %d", n, len(got)-1, p.size())
			}
			back, err := DecodeBase64(got[1:])
			if err != nil || !bytes.Equal(back, src) {
				t.Fatalf("%d octets come back as %d: %v", n, len(back), err)
			}
			for line := range strings.SplitAfterSeq(string(got[1:]), "\r\n") {
				if len(line) > 78 || line != "" && !strings.HasSuffix(line, "\r\n") {
					t.Fatalf("%d octets: line %q", n, line)
				}
			}
		}
	}
}
