package printable

import "unicode/utf8"

// Clip shortens s to at most n octets, not in the middle of a character.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
