package pemfile

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
)

// boundary is a line that was meant to begin or to end a block.
var boundary = regexp.MustCompile(`^(-*) ?(?:BEGIN|END) ?([A-Z0-9.# ]*[A-Z0-9.#]) ?(-*)$`)

// remnant returns the type of a block that text was meant to have: between the blocks
// that can be decoded there is a line that begins or ends another one, were it not for
// dashes that are missing or of another kind, lower case, blanks, or NULs, as where files
// of two encodings were joined. The text that programs write around blocks has none.
func remnant(text []byte) (string, bool) {
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if len(line) > maxBoundary || !bytes.ContainsAny(line, "dD") {
			continue
		}
		m := boundary.FindStringSubmatch(tidied(line))
		if m != nil && (m[1] != "" && m[3] != "" || known[m[2]] != "") {
			return m[2], true
		}
	}
	return "", false
}

// maxBoundary is how many octets a line may have that begins or ends a block: there are
// two for each letter in UTF-16.
const maxBoundary = 200

// tidied returns a line in upper case, with dashes and blanks of one kind.
func tidied(line []byte) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == 0 || unicode.Is(unicode.Cf, r):
			return -1
		case unicode.Is(unicode.Pd, r) || r == '\u2212':
			return '-'
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ToUpper(r)
	}, string(line))
	return strings.Join(strings.Fields(text), " ")
}
