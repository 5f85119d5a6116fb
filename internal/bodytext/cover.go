package bodytext

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cssBlank is what may stand around the colon of a property.
const cssBlank = `(\s|/\*[^*]*\*+([^/*][^*]*\*+)*/)`

// covering is what HTML needs to cover an element above it, to write into it, or to bring
// a style that does. A property may have a comment behind it. A margin that is negative, or
// computed, moves an element up over what is before it.
var covering = regexp.MustCompile(`(^|[^-\w])(position|content|offset[-a-z]*)` + cssBlank + `*:` +
	`|margin[-a-z]*` + cssBlank + `*:(` + cssBlank + `|[^;}"'<>])*[-(]` +
	`|z-index|first-line|first-letter|@import|<(link|dialog|base|frameset|script|object|embed|iframe)|popover`)

// coveringWords are the beginnings of what covering matches: of most texts none is in it.
var coveringWords = []string{"position", "content", "offset", "margin", "z-index", "first-l", "@import", "popover",
	"<link", "<dialog", "<base", "<frameset", "<script", "<object", "<embed", "<iframe"}

// mayCover is covering.MatchString for a text in small letters.
func mayCover(s string) bool {
	return slices.ContainsFunc(coveringWords, func(w string) bool { return strings.Contains(s, w) }) && covering.MatchString(s)
}

// cssEscape is an escape in CSS (CSS Syntax Level 3 section 4.3.7).
var cssEscape = regexp.MustCompile(`\\([0-9a-f]{1,6}[ \t\r\n\f]?|[^0-9a-f\r\n\f])`)

// covers reports whether HTML may cover or change what is put before it, in whichever way
// it is escaped: what is no style is searched, too.
func covers(text []byte) bool {
	raw := string(lowerASCII(text))
	escaped := func(s string) bool { return strings.ContainsRune(s, '\\') && mayCover(unescapedCSS(s)) }
	if mayCover(raw) || escaped(raw) {
		return true
	}
	s := strings.ToLower(html.UnescapeString(raw))
	return s != raw && (mayCover(s) || escaped(s))
}

func unescapedCSS(s string) string {
	return strings.ToLower(cssEscape.ReplaceAllStringFunc(s, func(e string) string {
		if n, err := strconv.ParseUint(strings.TrimSpace(e[1:]), 16, 32); err == nil {
			if n == 0 || n > utf8.MaxRune {
				return "\ufffd"
			}
			return string(rune(n))
		}
		return e[1:]
	}))
}

// plainDoctype is a document type that no reader takes for anything else.
var plainDoctype = regexp.MustCompile(`^(\xef\xbb\xbf)?\s*(?i:<!doctype)[ \t\r\n]+[A-Za-z0-9"'/.:\- \t\r\n]*>`)

// doctype returns how long the document type at the beginning is, 0 if there is none.
func doctype(text []byte) int {
	return len(plainDoctype.Find(text))
}
