package charset

import (
	"encoding/base64"
	"mime"
	"strings"
)

// maxWordText is how many octets an encoded word holds: 75 characters, of which 12 are
// around the text (RFC 2047 section 2).
const maxWordText = 45

// Encode returns the value of an unstructured field that Header reads as text: as it is
// where it may be, else in encoded words (RFC 2047). What only looks like an encoded word
// is encoded too, or readers would show what is in it.
func Encode(text string) string {
	encoded := mime.QEncoding.Encode("utf-8", text)
	if encoded != text || !strings.Contains(text, "=?") {
		return encoded
	}
	var words []string
	for len(text) > 0 {
		n := min(len(text), maxWordText)
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}
