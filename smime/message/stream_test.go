package message

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// octetsOf returns n octets, the same each time.
func octetsOf(n int) []byte {
	b := make([]byte, n)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < n; i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestEncodeBase64(t *testing.T) {
	for _, size := range []int{0, 1, 2, 56, 57, 58, 114, 1000, streamSize, 3*streamSize + 1} {
		data := octetsOf(size)
		want, err := Base64(Octets(data)).appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{1, 7, 57, 60, 40000, size + 1} {
			var got bytes.Buffer
			e := EncodeBase64(&got)
			for rest := data; len(rest) > 0; rest = rest[min(step, len(rest)):] {
				if n, err := e.Write(rest[:min(step, len(rest))]); n != min(step, len(rest)) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := e.Close(); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d octets in steps of %d: %v", size, step, err)
			}
		}
	}
}

func TestCanonicalReader(t *testing.T) {
	texts := []string{"", "\n", "\r\n", "\r", "\r\r\n\n", "a\nb\r\nc\rd\n\n\r", strings.Repeat("line\n", streamSize),
		strings.Repeat("x", streamSize-1) + "\r\n" + strings.Repeat("y", streamSize-1) + "\n"}
	for _, text := range texts {
		want := string(Canonical([]byte(text)))
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "half": iotest.HalfReader(strings.NewReader(text)),
			"data with its end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			if got, err := io.ReadAll(CanonicalReader(r)); err != nil || string(got) != want {
				t.Errorf("%s, %.20q: %.20q, %v", name, text, got, err)
			}
		}
		if got, err := io.ReadAll(iotest.OneByteReader(CanonicalReader(iotest.OneByteReader(strings.NewReader(text))))); err != nil || string(got) != want {
			t.Errorf("by octets, %.20q: %.20q, %v", text, got, err)
		}
	}
	broken := errors.New("broken")
	if got, err := io.ReadAll(CanonicalReader(io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(broken)))); string(got) != "a\r\n" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}

// What a draft writes is the message.
func TestDraftWriteTo(t *testing.T) {
	m := parse(t, "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n")
	for name, body := range map[string][]Piece{
		"none": nil, "text": {Text("text\r\n"), m.scan()}, "base64": {Text("a\r\n"), Base64(Octets(octetsOf(100000)))},
		"later": {Text("a\r\n"), Base64(Octets(octetsOf(100))), Later(10, func(body [][]byte) (Piece, error) {
			return Text(strings.ToUpper(string(bytes.Join(body, nil)[:3]))), nil
		})},
	} {
		change := Change{Entity: &Entity{Fields: []Field{RawField("Content-Type", "text/plain")}, Body: body}}
		want, err := m.Apply(change)
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.Draft(change)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if n, err := d.WriteTo(&got); err != nil || n != int64(got.Len()) || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: %q, %d, %v", name, got.Bytes(), n, err)
		}
	}
}

// scan is the body of m as a piece.
func (m *Message) scan() Piece { return ScanLines(m.Body()) }

func TestSplitHeader(t *testing.T) {
	text := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nbody\r\n", 500_000)
	m, body, err := SplitHeader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(body)
	if err != nil || string(m.Bytes())+string(rest) != text || len(m.Body()) != 0 || m.Get("Subject") != "x" {
		t.Errorf("%q, %v", m.Bytes(), err)
	}
	if _, _, err := SplitHeader(strings.NewReader("no field\r\n\r\n")); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, _, err := SplitHeader(strings.NewReader("X: " + strings.Repeat("y", maxHeader) + "\r\n\r\nbody")); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// A body that stays what it is, under another header, is not copied.
func TestApplyOf(t *testing.T) {
	outer := parse(t, "From: a@example.org\r\nContent-Type: application/pkcs7-mime\r\n\r\nMIAG\r\n")
	for text, shared := range map[string]bool{
		"Content-Type: text/plain; charset=utf-8\r\n\r\nbody\r\n": true,
		"X: y\r\nContent-Type: text/plain\r\n\r\nbody\r\n":        true,
		"\r\nbody\r\n": false, // described by another field than before
	} {
		inner := parse(t, text)
		entity := &Entity{Fields: []Field{{Name: "Content-Type", Raw: []byte("Content-Type: text/html\r\n")}}, Body: []Piece{inner.scan()}, Of: inner}
		if shared {
			entity.Fields = []Field{inner.Fields()[len(inner.Fields())-1]}
		}
		got, err := outer.Apply(Change{Entity: entity})
		if err != nil {
			t.Fatal(err)
		}
		entity.Of = nil
		want, err := outer.Apply(Change{Entity: entity})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) || got.Root().MediaType != want.Root().MediaType || got.Get("X") != "" {
			t.Errorf("%q, and %q", got.Bytes(), want.Bytes())
		}
		if (&got.Body()[0] == &inner.Body()[0]) != shared {
			t.Errorf("%q: shared is not %v", text, shared)
		}
	}
}
