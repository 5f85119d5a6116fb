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
