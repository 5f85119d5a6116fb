package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// largeLines are 400 kB of a content.
var largeLines = strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 5000)

// What is left out of a large message changes nothing that is said about it.
func TestParseLarge(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		large int // parts
	}{
		"leaf":               {"Content-Type: text/plain\r\n\r\n" + largeLines, 1},
		"LF":                 {strings.ReplaceAll("Content-Type: text/plain\r\n\r\n"+largeLines, "\r\n", "\n"), 1},
		"no line at its end": {"Content-Type: text/plain\r\n\r\n" + largeLines + "end", 1},
		"multipart":          {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: a/b\r\n\r\n" + largeLines + "--b--\r\nepilogue\r\n", 2},
		"bare CR":            {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\n" + largeLines + "x\r--b\r\n" + largeLines + "--b--\r\n", 2},
		"message":            {"Content-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n" + largeLines, 2},
		"message in digest":  {"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n" + largeLines + "\r\n--b--", 3},
		"long header":        {"Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\nX: " + strings.ReplaceAll(largeLines, "\r\n", "\r\n ") + "\r\n\r\nx", 0},
		"long line":          {"Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 3*largeLine) + "--b\r\n", 0},
		"encoded multipart":  {"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\n" + largeLines + "=2D-b\r\n\r\n--b--\r\n", 0},
		"no header":          {"\r\n" + largeLines, 0},
		"two types":          {"Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n" + largeLines, 1},
	} {
		for _, edge := range []int{1, largeEdge} {
			m, err := parseLarge(strings.NewReader(tt.text), int64(len(tt.text)), edge)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sameTree(t, name, m, parse(t, tt.text))
			large := 0
			m.Root().Walk(func(p *Part) bool {
				if p.Large() {
					large++
				}
				return true
			})
			if large != tt.large || large > 0 && len(m.raw) > len(tt.text)/10 {
				t.Errorf("%s: %d large parts, %d octets of %d in memory", name, large, len(m.raw), len(tt.text))
			}
		}
	}
}

// sameTree compares what is said about got, of which not all is in memory, with want.
func sameTree(t *testing.T, name string, got, want *Message) {
	t.Helper()
	var parts []*Part
	want.Root().Walk(func(p *Part) bool { parts = append(parts, p); return true })
	got.Root().Walk(func(p *Part) bool {
		if len(parts) == 0 {
			t.Fatalf("%s: too many parts", name)
		}
		w := parts[0]
		parts = parts[1:]
		if !bytes.Equal(WriteHeader(p.Fields), WriteHeader(w.Fields)) || p.MediaType != w.MediaType || p.Encoding != w.Encoding ||
			p.Closed != w.Closed || p.Defect != w.Defect || p.Ambiguous != w.Ambiguous || len(p.Children) != len(w.Children) ||
			p.Doubt() != w.Doubt() || p.StructureDoubt() != w.StructureDoubt() {
			t.Errorf("%s: part %+v, want %+v", name, p, w)
		}
		all, err := io.ReadAll(p.Reader())
		content, errContent := io.ReadAll(p.ContentReader())
		if err = errors.Join(err, errContent); err != nil || !bytes.Equal(all, w.Bytes()) || !bytes.Equal(content, w.Content()) {
			t.Errorf("%s: another content of part %s (%v)", name, p.MediaType, err)
		}
		return true
	})
	if len(parts) > 0 {
		t.Errorf("%s: %d parts are missing", name, len(parts))
	}
}

// A source that fails is an error, and so is a message that is none.
func TestParseLargeFailures(t *testing.T) {
	broken := errors.New("broken")
	if _, err := ParseLarge(failingAt{broken}, 100); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := ParseLarge(strings.NewReader("no field\r\n\r\n"), 12); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

type failingAt struct{ err error }

func (f failingAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// What is decoded as a stream is what is decoded in memory, whatever the reads.
func TestDecodeReader(t *testing.T) {
	data := octetsOf(100_000)
	encoded, err := Base64(Octets(data)).appendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	for encoding, text := range map[string]string{
		"base64": string(encoded), "8bit": largeLines, "quoted-printable": "=41" + largeLines, "x-none": "", "Base64": "QUJ\r\nD\r\nQQ==",
		"base64 ": "QQ=", "BASE64": "Q\x00",
	} {
		m := parse(t, "Content-Type: a/b\r\nContent-Transfer-Encoding: "+encoding+"\r\n\r\n"+text)
		want, wantErr := m.Root().Decode()
		r, err := m.Root().DecodeReader()
		var got []byte
		if err == nil {
			got, err = io.ReadAll(iotest.OneByteReader(r))
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, %v; want %d, %v", encoding, len(got), err, len(want), wantErr)
		}
	}
	for _, size := range []int{1, 2, 3, 5, 1000, streamSize} {
		b := &base64Reader{r: &steps{encoded, size}}
		if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, data) {
			t.Errorf("in steps of %d: %v", size, err)
		}
	}
}

// steps reads a few octets at a time.
type steps struct {
	rest []byte
	size int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(s.size, len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}

// ScanReader tells what ScanLines does.
func TestScanReader(t *testing.T) {
	for _, text := range []string{"", "x", "x\r\n", "x\n", "x\r\ny \r\n", "From \r\n", "\x00\r\n", "\xe4\r\n", largeLines, "a\rb\r\n", strings.Repeat("x", 2000) + "\r\n" + largeLines} {
		want := ScanLines([]byte(text))
		want.text = nil
		got, zero, err := ScanReader(iotest.HalfReader(strings.NewReader(text)))
		if err != nil || got.CRLF != want.CRLF || got.ASCII != want.ASCII || got.Longest != want.Longest || got.Fragile != want.Fragile || zero != strings.Contains(text, "\x00") {
			t.Errorf("%.20q: %+v, %v, %v; want %+v", text, got, zero, err, want)
		}
	}
	if _, _, err := ScanReader(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// FuzzParseLarge compares the tree of a message of which most is left out with that of
// the whole.
func FuzzParseLarge(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nab\r\ncd\r\nef\r\n--b--\r\ngh\r\nij\r\nkl\r\n")
	f.Add("Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: message/rfc822\n\nX: y\n\n1\n2\n3\n4\n--b\n\n\n1\n2\n3\n4\n5\n--b--\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseLarge(strings.NewReader(text), int64(len(text)), 1)
		want, wantErr := Parse([]byte(text))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err == nil {
			sameTree(t, "fuzz", m, want)
		}
	})
}
