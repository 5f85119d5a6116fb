package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCursorLengths(t *testing.T) {
	for _, tc := range []struct {
		in string
		ok bool
	}{
		{"04 00", true},
		{"04 01 aa", true},
		{"04 81 01 aa", true},       // not minimal
		{"04 84 00000001 aa", true}, // not minimal
		{"04 88 0000000000000001 aa", true},
		{"04", false},
		{"04 01", false},
		{"04 81", false},
		{"04 82 01", false},
		{"04 84 ffffffff aa", false},
		{"04 88 7fffffffffffffff aa", false},
		{"04 88 ffffffffffffffff aa", false},
		{"04 89 000000000000000001 aa", true},
		{"04 ff", false},
		{"04 80 00 00", false}, // primitive and indefinite
		{"", false},
		{"1f", false},
		{"1f 81", false},
	} {
		c := newCursor(unhex(t, tc.in))
		c.skip()
		if ok := c.err == nil && c.pos == len(c.src); ok != tc.ok {
			t.Errorf("%s: %v at %d", tc.in, c.err, c.pos)
		}
		if c.err != nil && !errors.Is(c.err, ErrMalformed) {
			t.Errorf("%s: %v", tc.in, c.err)
		}
	}
}

func TestCursorSkip(t *testing.T) {
	for _, in := range []string{
		"30 80 00 00", "30 80 30 80 00 00 04 01 aa 00 00", "1f 81 01 00", "3f 05 80 00 00",
		"30 80 30 02 00 00 00 00", // octets that look like an end inside a definite length
	} {
		c := newCursor(append(unhex(t, in), 0x05, 0x00))
		if c.skip(); c.err != nil || c.peek() != tagNull {
			t.Errorf("%s: %v, next %x", in, c.err, c.peek())
		}
	}
	for _, in := range []string{"30 80", "30 80 00", "30 80 30 80 00 00", "30 80 04 05 00 00", "30 80 04"} {
		c := newCursor(unhex(t, in))
		if c.skip(); c.err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

func TestCursorEnterLeave(t *testing.T) {
	// SEQUENCE { [0] { INTEGER 5 } NULL }, with all mixtures of lengths
	for _, in := range []string{
		"30 07 a0 03 02 01 05 05 00", "30 80 a0 03 02 01 05 05 00 00 00",
		"30 09 a0 80 02 01 05 00 00 05 00", "30 80 a0 80 02 01 05 00 00 05 00 00 00",
	} {
		c := newCursor(unhex(t, in))
		c.enter(tagSequence)
		c.enter(tagContext0)
		n := c.small()
		c.leave()
		c.primitive(tagNull)
		c.leave()
		if c.err != nil || n != 5 || c.pos != len(c.src) {
			t.Errorf("%s: %d, %v at %d", in, n, c.err, c.pos)
		}
	}
	for _, in := range []string{
		"30 03 a0 03 02 01 05",          // inner longer than outer
		"30 80 a0 80 02 01 05 00 00",    // outer without end
		"30 05 a0 80 02 01 05 00 00",    // inner ends outside of outer
		"30 07 a0 03 02 01 05 05 01",    // last element longer than outer
		"30 07 a0 05 02 01 05 05 00 00", // unread element
	} {
		c := newCursor(unhex(t, in))
		c.enter(tagSequence)
		c.enter(tagContext0)
		c.small()
		c.leave()
		c.primitive(tagNull)
		c.leave()
		if !errors.Is(c.err, ErrMalformed) {
			t.Errorf("%s: %v", in, c.err)
		}
	}
}

func TestSmall(t *testing.T) {
	for in, want := range map[string]int{
		"02 01 00": 0, "02 01 7f": 127, "02 02 00 80": 128, "02 04 7f ff ff ff": 1<<31 - 1,
		"02 00": -1, "02 01 80": -1, "02 05 00 80 00 00 00": -1, "02 06 00 00 00 00 00 01": -1, "04 01 00": -1,
	} {
		c := newCursor(unhex(t, in))
		if got := c.small(); (c.err != nil) != (want < 0) || c.err == nil && got != want {
			t.Errorf("%s: %d, %v", in, got, c.err)
		}
	}
}

func TestBuilderRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24} {
		data := make([]byte, n)
		var b builder
		m := b.open(tagSequence)
		b.tlv(tagOctetString, data)
		b.int(n)
		b.close(m)
		l := newLayout(n)
		l.header(tagOctetString)
		c := newCursor(b)
		c.enter(tagSequence)
		start := c.pos
		if got := c.primitive(tagOctetString); len(got) != n || !bytes.Equal(b[start:c.pos-n], l.bytes()) {
			t.Errorf("%d octets: read %d, header %x", n, len(got), l.bytes())
		}
		if got := c.small(); got != n {
			t.Errorf("integer %d: %d", n, got)
		}
		c.leave()
		if c.err != nil || c.pos != len(b) {
			t.Errorf("%d: %v", n, c.err)
		}
	}
}

func TestContentForms(t *testing.T) {
	for _, tc := range []struct {
		in     string
		pieces string // joined with "|"; "!" is an error
	}{
		{"04 03 616263", "abc"},
		{"04 00", ""},
		{"24 03 04 01 61", "a"},
		{"24 80 00 00", "none"},
		{"24 80 04 01 61 04 00 04 02 6263 00 00", "a||bc"},
		{"24 80 24 80 04 01 61 00 00 24 03 04 01 62 04 01 63 00 00", "a|b|c"},
		{"24 80 04 01 61", "!"},
		{"24 80 05 00 00 00", "!"},
		{"24 80 24 80 04 01 61 00 00", "!"},
		{"24 04 04 01 61 00", "!"},
		{"24 02 04 01 61", "!"},
		{"05 00", "!"},
	} {
		c := newCursor(unhex(t, tc.in))
		content := c.octets(tagOctetString)
		if c.err != nil || tc.pieces == "!" {
			if c.err == nil || tc.pieces != "!" {
				t.Errorf("%s: %v", tc.in, c.err)
			}
			continue
		}
		var got []string
		for p := range content.Chunks() {
			got = append(got, string(p))
		}
		want := strings.Split(tc.pieces, "|")
		if tc.pieces == "none" {
			want = nil
		}
		joined := strings.Join(want, "")
		if !slices.Equal(got, want) || content.Len() != len(joined) || string(content.Bytes()) != joined ||
			string(content.AppendTo([]byte("x"))) != "x"+joined {
			t.Errorf("%s: %q of %d", tc.in, got, content.Len())
		}
		for range content.Chunks() {
			break // must be allowed
		}
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"30 03 02 01 05":                                        "30 03 02 01 05",
		"30 80 02 01 05 00 00":                                  "30 03 02 01 05",
		"30 81 03 02 01 05":                                     "30 03 02 01 05",
		"a0 80 31 80 02 81 01 05 00 00 00 00":                   "a0 05 31 03 02 01 05",
		"30 80 24 80 04 01 61 24 80 04 01 62 00 00 00 00 00 00": "30 04 04 02 61 62",
		"2c 80 0c 01 61 04 01 62 00 00":                         "0c 02 61 62",
		"31 06 02 01 09 02 01 01":                               "31 06 02 01 09 02 01 01", // the order stays
		"30 80":                                                 "",
		"30 80 3f 1f 00 00 00":                                  "",
		"24 80 05 00 00 00":                                     "",
		"30 00 00 0d 0a":                                        "30 00",
		"30 00 01":                                              "",
	} {
		raw := unhex(t, in)
		got, err := DER(raw)
		if want == "" {
			if err == nil {
				t.Errorf("%s: no error, %x", in, got)
			}
		} else if err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: %x, %v", in, got, err)
		}
	}
	deep := bytes.Repeat([]byte{0x30, 0x80}, maxDepth)
	if _, err := DER(append(deep, make([]byte, 2*maxDepth)...)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too deep: %v", err)
	}
}

// TestDER joins and shortens what BER may write long.
func TestDER(t *testing.T) {
	for name, c := range map[string][2]string{
		"indefinite":      {"\x30\x80\x02\x01\x03\x00\x00", "\x30\x03\x02\x01\x03"},
		"long length":     {"\x30\x82\x00\x03\x02\x01\x03", "\x30\x03\x02\x01\x03"},
		"pieces":          {"\x24\x80\x04\x01a\x04\x02bc\x00\x00", "\x04\x03abc"},
		"implicit pieces": {"\xa0\x80\x04\x01a\x04\x02bc\x00\x00", "\xa0\x07\x04\x01a\x04\x02bc"},
		"in a string":     {"\x04\x02\x30\x80", "\x04\x02\x30\x80"},
		"trailing":        {"\x05\x00\x05\x00", ""},
		"no end":          {"\x30\x80\x05\x00", ""},
		"nothing":         {"", ""},
	} {
		got, err := DER([]byte(c[0]))
		if (err == nil) != (c[1] != "") || err == nil && string(got) != c[1] {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

// FuzzDER holds that what is DER stays as it is.
func FuzzDER(f *testing.F) {
	f.Add([]byte("\x30\x80\x24\x80\x04\x01a\x00\x00\x31\x81\x03\x02\x01\x03\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := DER(raw)
		if err != nil {
			return
		}
		if twice, err := DER(once); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%x, then %x, %v", once, twice, err)
		}
	})
}
