package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
		"long line":          {"Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 30*largeLine) + "--b\r\n", 1},
		"long lines":         {"Content-Type: text/plain\r\n\r\n" + strings.Repeat("-x"+strings.Repeat("x", 2*largeLine-4)+"--\r\n", 20), 1},
		"long line in part":  {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("x", 30*largeLine-1) + "\r\n--b--\r\n", 2},
		"hyphens":            {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n--" + strings.Repeat("-", 3*largeLine) + "\r\n--b--\r\n", 0},
		"encoded multipart":  {"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\n" + largeLines + "=2D-b\r\n\r\n--b--\r\n", 0},
		"no header":          {"\r\n" + largeLines, 0},
		"two types":          {"Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n" + largeLines, 1},
	} {
		for _, edge := range []int{1, largeEdge} {
			m, err := parseLarge(strings.NewReader(tt.text), int64(len(tt.text)), edge, largeLine)
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

// odd are lines that the structure of a message may depend on, or be thought to.
var odd = []string{
	"", " ", "\t", "\r", "text", " fold", "no colon", "x y: z", "X: y", "X : y", "--b", "--b--", "--b \t", "--b: y", "--b: y--", "--c", "--c--",
	"--x: y", "--x : y", "--x: y\r", "--", "-- ", "-----BEGIN-----", "-b", "x\r--b", "x\r-b", "\r--b", "=2D-b", "=2D-b--", "--b=", "--=62",
	"Content-Type: message/rfc822", "Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: quoted-printable",
}

// A soup is a message that is made of the lines that messages are made of, and a few odd
// ones.
type soup struct {
	*rand.Rand
	lines []string
}

func (s *soup) one(list ...string) string { return list[s.IntN(len(list))] }

func (s *soup) add(lines ...string) {
	for _, l := range lines {
		if s.IntN(12) == 0 {
			line := s.one(odd...)
			if s.IntN(4) == 0 { // within a long one
				line = strings.Repeat("x", s.IntN(40)) + line + strings.Repeat("-", s.IntN(40))
			}
			s.lines = append(s.lines, line)
		}
		if s.IntN(25) > 0 {
			s.lines = append(s.lines, l)
		}
	}
}

// entity adds a header and what it says is behind it.
func (s *soup) entity(depth int) {
	kind := s.IntN(7)
	if depth == 0 {
		kind = 0
	}
	var header []string
	if s.IntN(4) == 0 {
		header = append(header, "Content-Transfer-Encoding: "+s.one("quoted-printable", "quoted-printable", "base64", "8bit"))
	}
	if s.IntN(8) == 0 {
		header = append(header, s.one("--x: y", "--b: y", "X: y"))
	}
	switch kind {
	case 1, 2:
		s.header(append(header, "Content-Type: "+s.one("message/rfc822", "message/global")))
		s.entity(depth - 1)
	case 3, 4, 5:
		boundary := s.one("b", "c", "bb", "b: y", "x: y")
		s.header(append(header, "Content-Type: multipart/"+s.one("mixed", "digest", "signed")+"; boundary=\""+boundary+"\""))
		s.text()
		for range s.IntN(3) {
			s.add("--" + boundary)
			s.entity(depth - 1)
		}
		s.add("--" + boundary + "--")
		s.text()
	default:
		s.header(append(header, "Content-Type: "+s.one("text/plain", "a/b", "message/rfc822")))
		s.text()
	}
}

// header adds fields in any order.
func (s *soup) header(fields []string) {
	s.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	s.add(append(fields, "")...)
}

// text adds some lines.
func (s *soup) text() {
	for range s.IntN(6) {
		s.add(s.one("text", "more text", "", "QUJD", "=41=", "-", "=2D-b", "a text that is longer than its piece", "0123456789abcde\r--b"))
	}
}

// String returns the message.
func (s *soup) String() string {
	end := s.one("\r\n", "\n")
	return strings.Join(s.lines, end) + s.one(end, "", "\r")
}

// shortLine is the shortest piece of a line that a bufio.Reader has.
const shortLine = 16

// Whatever a message is made of, the tree of what is left of it is that of the whole.
func TestParseLargeSoup(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	trees := 0
	for range 20_000 {
		made := soup{Rand: r}
		made.entity(3)
		text := made.String()
		m, err := parseLarge(strings.NewReader(text), int64(len(text)), 1, shortLine)
		want, wantErr := Parse([]byte(text))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", text, err, wantErr)
		}
		if err != nil {
			continue
		}
		if sameTree(t, fmt.Sprintf("%q", text), m, want); t.Failed() {
			return
		}
		if m.root.source != nil && len(want.Root().Children) > 0 {
			trees++
		}
	}
	if trees < 1000 {
		t.Errorf("only %d messages had parts, and lines left out", trees)
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
	long := strings.Repeat("x", largeLine-1) + "\r\n" + strings.Repeat("y", 3*largeLine) + "\r\n"
	if got, _, err := ScanReader(strings.NewReader(long)); err != nil || !got.CRLF || got.Longest < largeLine-1 {
		t.Errorf("long lines: %+v, %v", got, err)
	}
	if _, _, err := ScanReader(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// FuzzParseLarge compares the tree of a message of which most is left out with that of
// the whole.
func FuzzParseLarge(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nab\r\ncd\r\nef\r\n--b--\r\ngh\r\nij\r\nkl\r\n")
	f.Add("Content-Type: message/rfc822\r\n--x: y\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n")
	f.Add("Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: message/rfc822\n\nX: y\n\n1\n2\n3\n4\n--b\n\n\n1\n2\n3\n4\n5\n--b--\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseLarge(strings.NewReader(text), int64(len(text)), 1, shortLine)
		want, wantErr := Parse([]byte(text))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err == nil {
			sameTree(t, "fuzz", m, want)
		}
	})
}
