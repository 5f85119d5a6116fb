package message

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// Whatever the lines, we decode what encoding/base64 does.
func TestDecodeBase64Lines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		for _, width := range []int{1, 3, 4, 5, 64, 75, 76, 77, 1000} {
			text := base64.StdEncoding.EncodeToString(data)
			if width%2 == 1 {
				text = strings.TrimRight(text, "=")
			}
			var b strings.Builder
			for len(text) > width {
				b.WriteString(text[:width] + "\r\n")
				text = text[width:]
			}
			b.WriteString(text)
			got, err := DecodeBase64([]byte(b.String()))
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d octets in lines of %d: %d octets, %v", n, width, len(got), err)
			}
			source, err := Decoded([]byte(b.String()))
			if err != nil || source.Len() != n || !bytes.Equal(source.AppendTo(nil), data) {
				t.Fatalf("%d octets in lines of %d, as a source: %v", n, width, err)
			}
		}
	}
}

func TestDecodeBase64Refuses(t *testing.T) {
	for _, in := range []string{
		"A", "=", "====", "A===", "AA=", "AAA==", "AA===", "AA==A", "AA==AAAA", "AAA=A", "AAAA=", "AA A=A", "AA=\nA=",
		"AA-A", "AA_A", "AAA\x00", "AAAA\xff", "AAAA,", "\x80AAA",
	} {
		if got, err := DecodeBase64([]byte(in)); err == nil {
			t.Errorf("%q: accepted as %q", in, got)
		}
		if _, err := Decoded([]byte(in)); err == nil {
			t.Errorf("%q: accepted as a source", in)
		}
	}
}

// Whatever is amiss in lines that are decoded as a whole, the result is that of one
// character after the other.
func TestDecodeBase64OddLines(t *testing.T) {
	data := bytes.Repeat([]byte{0, 0xff, 0x5a, 7, 0x80}, 40)
	plain := base64.StdEncoding.EncodeToString(data)
	for width := 3; width <= 80; width++ {
		var lines []byte
		for rest := plain; rest != ""; {
			n := min(width, len(rest))
			lines, rest = append(append(lines, rest[:n]...), '\r', '\n'), rest[n:]
		}
		for at := range len(lines) {
			for _, odd := range []byte(" \r\n=-A\x80") {
				text := bytes.Clone(lines)
				text[at] = odd
				want, wrong := oneByOne(text)
				got, err := DecodeBase64(text)
				if (err == nil) != (wrong == nil) || !bytes.Equal(got, want) {
					t.Fatalf("%q: %x, %v, want %x, %v", text, got, err, want, wrong)
				}
			}
		}
	}
}

// oneByOne is DecodeBase64 without its haste.
func oneByOne(text []byte) ([]byte, error) {
	var d base64Decoder
	for _, c := range text {
		if err := d.one(c); err != nil {
			return nil, err
		}
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return d.out, nil
}

func FuzzDecodeBase64(f *testing.F) {
	f.Add([]byte("QUJD\r\nRA=="))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := DecodeBase64(in)
		if err != nil {
			return
		}
		again, err := DecodeBase64(encodeBase64(got))
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q decodes to %q and that to %q, %v", in, got, again, err)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	data := make([]byte, 1<<20)
	text := encodeBase64(data)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			encodeLines(text, data)
		}
	})
	b.Run("encode std", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			base64.StdEncoding.Encode(text, data)
		}
	})
	text = encodeBase64(data)
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := DecodeBase64(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode std", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := base64.StdEncoding.Decode(data, text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// encodeBase64 returns data as base64 in lines of 76 octets.
func encodeBase64(data []byte) []byte {
	text := make([]byte, encodedLen(len(data)))
	encodeLines(text, data)
	return text
}
