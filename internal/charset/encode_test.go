package charset

import (
	"strings"
	"testing"
)

// What is written is what is read, also where the text looks like an encoded word.
func TestEncode(t *testing.T) {
	for _, text := range []string{
		"", "hello", "grüße", "a = b?", "=?utf-8?b?W3NpZ25lZF0=?= hello", "=?utf-8?q?a", "ü =?utf-8?q?a?=", "?= =?", strings.Repeat("=?utf-8?q?x?= ", 30),
	} {
		encoded := Encode(text)
		if got, ok := Header(encoded); got != text || !ok {
			t.Errorf("%q is written %q and read %q, %t", text, encoded, got, ok)
		}
		for word := range strings.FieldsSeq(encoded) {
			if len(word) > 75 {
				t.Errorf("a word of %d characters: %q", len(word), word)
			}
		}
	}
	if got := Encode("[2/3] a = b?"); got != "[2/3] a = b?" {
		t.Errorf("%q", got)
	}
}

// Every word has a length that a header can have, and whole characters.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "hello": "hello", strings.Repeat("x", 1000): strings.Repeat("x", 1000), strings.Repeat("grüße €", 200): strings.Repeat("grüße €", 200), "a\xfcb": "a?b",
	} {
		encoded := Words(text)
		if got, ok := Header(encoded); got != want || !ok {
			t.Errorf("%q is read %q, %t", text, got, ok)
		}
		for word := range strings.FieldsSeq(encoded) {
			if _, ok := Header(word); len(word) > maxWord || !ok {
				t.Errorf("the word %q", word)
			}
		}
	}
}

// A text is written in the charset that it is to have, word by word, and in UTF-8 where
// that lacks a character.
func TestEncodeIn(t *testing.T) {
	for _, tt := range []struct{ charset, text, want string }{
		{"iso-8859-1", "grüße", "=?iso-8859-1?b?"},
		{"ISO-8859-1", "grüße", "=?iso-8859-1?b?"},
		{"iso-8859-1", "5 €", "=?utf-8?"},
		{"windows-1252", "5 €", "=?windows-1252?b?"},
		{"us-ascii", "grüße", "=?utf-8?"},
		{"koi8-r", "подписано", "=?koi8-r?b?"},
		{"koi8-r", "grüße", "=?utf-8?"},
		{"iso-2022-jp", "[署名] こんにちは、" + strings.Repeat("世界", 40), "=?iso-2022-jp?b?"},
		{"shift_jis", "[署名]", "=?shift_jis?b?"},
		{"gb18030", "[已签名] " + strings.Repeat("你好", 40), "=?gb18030?b?"},
		{"utf-16", "grüße", "=?utf-8?"},
		{"utf-7", "grüße", "=?utf-8?"},
		{"x-unknown", "grüße", "=?utf-8?"},
		{"utf-8?b?x?= =?utf-8", "grüße", "=?utf-8?"},
		{"a\r\nB: c", "grüße", "=?utf-8?"},
		{strings.Repeat("x", 70), "grüße", "=?utf-8?"},
		{"", "grüße", "=?utf-8?"},
		{"iso-8859-1", strings.Repeat("ü", maxIn), "=?utf-8?"},
		{"iso-8859-1", "hello", "hello"},
		{"iso-8859-1", "=?utf-8?q?a?= ü", "=?iso-8859-1?b?"},
	} {
		encoded := EncodeIn(tt.charset, tt.text)
		got, ok := Header(encoded)
		if got != tt.text || !ok || !strings.HasPrefix(encoded, tt.want) {
			t.Errorf("%s: %q is written %q and read %q, %t", tt.charset, tt.text, encoded, got, ok)
		}
		for word := range strings.FieldsSeq(encoded) {
			if text, ok := Header(word); len(word) > maxWord || !ok || text == "" {
				t.Errorf("%s: the word %q is read %q, %t", tt.charset, word, text, ok)
			}
		}
	}
}

func TestOf(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "hello": "", "=?ISO-8859-1*de?q?gr=FC=DFe?= x": "ISO-8859-1", "Re: =?utf-8?b?eA==?= =?koi8-r?b?eA==?=": "utf-8", "=?broken": "",
	} {
		if got := Of(value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

// However many charsets a header names, and however long a text is written, what it takes
// is in proportion to its length.
func TestMemoryOfManyWords(t *testing.T) {
	long := strings.Repeat("a", maxIn-2) + "ü"
	names := strings.Repeat("=?x-unknown?q?a?= b ", 1000)
	for name, c := range map[string]struct {
		most int
		do   func()
	}{
		"written": {4 << 20, func() { EncodeIn("iso-8859-1", long) }},
		"read":    {4 << 20, func() { Header(names) }},
	} {
		if got := testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				c.do()
			}
		}).AllocedBytesPerOp(); got > int64(c.most) {
			t.Errorf("%s: %d octets were allocated", name, got)
		}
	}
}
