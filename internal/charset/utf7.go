package charset

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func isUTF7(charset string) bool {
	name := plain(strings.ToLower(strings.TrimSpace(charset)))
	return name == "utf7" || name == "unicode11utf7" || name == "unicode20utf7" || name == "cp65000"
}

// decodeUTF7 reads UTF-7 (RFC 2152), which golang.org/x/text has not.
func decodeUTF7(octets []byte) (string, bool) {
	var b strings.Builder
	ok := true
	for s := string(octets); s != ""; {
		before, rest, found := strings.Cut(s, "+")
		b.WriteString(before)
		ok = ok && strings.IndexFunc(before, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
		if !found {
			break
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return !isBase64(r) })
		if end < 0 {
			end = len(rest)
		}
		shifted := rest[:end]
		if s = rest[end:]; strings.HasPrefix(s, "-") {
			s = s[1:]
		}
		if shifted == "" {
			b.WriteByte('+')
			continue
		}
		text, good := shiftedUTF7(shifted)
		b.WriteString(text)
		ok = ok && good
	}
	return b.String(), ok
}

func isBase64(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/'
}

// shiftedUTF7 reads UTF-16 in base64 without padding.
func shiftedUTF7(s string) (string, bool) {
	octets, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(octets)%2 != 0 {
		return s, false
	}
	units := make([]uint16, 0, len(octets)/2)
	for i := 0; i < len(octets); i += 2 {
		units = append(units, uint16(octets[i])<<8|uint16(octets[i+1]))
	}
	text := string(utf16.Decode(units))
	return text, !strings.ContainsRune(text, utf8.RuneError)
}
