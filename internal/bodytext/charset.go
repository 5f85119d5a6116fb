package bodytext

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/message"
)

// fit returns text in the charset of old, and the charset that both then have: what is
// all ASCII can become UTF-8.
func fit(text string, old []byte, charset string) (string, []byte, error) {
	add := []byte(text)
	switch {
	case message.ScanLines(add).ASCII || charset == "utf-8":
	case message.ScanLines(old).ASCII && (charset == "" || strings.HasSuffix(charset, "ascii")) ||
		charset == "" && utf8.Valid(old):
		charset = "utf-8"
	case charset == "iso-8859-1" || charset == "windows-1252":
		var ok bool
		if add, ok = latin(text); !ok {
			return "", nil, errCharset
		}
	default:
		return "", nil, errCharset
	}
	return charset, add, nil
}

// latin encodes text in the octets that ISO 8859-1 and Windows-1252 share.
func latin(text string) ([]byte, bool) {
	var out []byte
	for _, r := range text {
		if r > 0xff || r >= 0x80 && r < 0xa0 {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// numbered writes everything that is not ASCII as a character reference.
func numbered(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x80 {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
