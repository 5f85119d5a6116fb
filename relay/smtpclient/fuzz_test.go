package smtpclient

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// Whatever a hop answers, a reply that is read is one of SMTP.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "250\r\n", "25x\r\n", "250-a\r\n251 b\r\n", "250-\n250 \n",
		strings.Repeat("250-x\r\n", 200), "999 x\r\n", "+50 x\r\n", "250 4.0.0 x\r\n", "550 5.1.99999 x\r\n", "220 \x00\xff\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, r, err := readReply(bufio.NewReaderSize(bytes.NewReader(data), maxLine))
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || r.Enhanced[0] != r.Code/100 || strings.Contains(r.Text, "\n") || len(lines) == 0 || len(lines) > maxLines+1 {
			t.Fatalf("reply %+v from %q", r, data)
		}
	})
}

// What a server takes the dots out of is what was put in, and ends where it
// ends.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"", ".", "a\r\n", "a\r\n.b", ".\r\n.\r\n", "\r\n..\r\n.", "a\r\n.\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s scan
		s.add(text)
		if s.whole(); s.bare {
			return // refused before
		}
		var wire bytes.Buffer
		if err := dotted(&wire, text); err != nil {
			t.Fatal(err)
		}
		want := string(text)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		var got strings.Builder
		rest := wire.String()
		for {
			line, after, ok := strings.Cut(rest, "\r\n")
			if !ok {
				t.Fatalf("%q has no end", wire.Bytes())
			}
			rest = after
			if line == "." {
				break
			}
			got.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
		}
		if rest != "" || got.String() != want {
			t.Fatalf("%q went out as %q and came in as %q, before %q", text, wire.Bytes(), got.String(), rest)
		}
	})
}
