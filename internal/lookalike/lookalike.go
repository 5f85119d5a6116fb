// Package lookalike finds words in a text whatever spelling a reader takes for them:
// other forms of a letter, letters of other scripts of the same shape, invisible
// characters, blanks and accents in between.
package lookalike

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// shapes are characters that most fonts show as the ASCII character, and that
// compatibility decomposition (NFKD) leaves apart.
var shapes = map[rune]rune{
	// Cyrillic
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ҽ': 'e', 'һ': 'h', 'і': 'i', 'ї': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l', 'м': 'm',
	'н': 'h', 'о': 'o', 'р': 'p', 'ԛ': 'q', 'ѕ': 's', 'т': 't', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x', 'у': 'y', 'ү': 'y', 'г': 'r',
	// Greek
	'α': 'a', 'β': 'b', 'ε': 'e', 'η': 'n', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'σ': 'o', 'τ': 't', 'υ': 'u', 'χ': 'x', 'γ': 'y',
	// Armenian, Latin and others
	'ո': 'n', 'օ': 'o', 'ս': 'u', 'ց': 'g', 'հ': 'h', 'զ': 'q', 'ɡ': 'g', 'ɑ': 'a', 'ı': 'i', 'ɩ': 'i', 'ł': 'l', 'ø': 'o', 'đ': 'd', 'ħ': 'h',
	'ŋ': 'n', 'ɴ': 'n', 'ɪ': 'i', 'ꜱ': 's', 'ɢ': 'g', 'ᴇ': 'e', 'ᴅ': 'd', 'ᴄ': 'c', 'ᴏ': 'o', 'ᴛ': 't', 'ᴠ': 'v', 'ʀ': 'r', 'ꜰ': 'f', 'ʏ': 'y', 'ᴘ': 'p',
	'ǀ': 'l', '|': 'l', '!': 'i', '1': 'l', '0': 'o', '5': 's', '3': 'e', '$': 's', '@': 'a', '9': 'g',
	// brackets
	'⁅': '[', '⁆': ']', '❲': '[', '❳': ']', '〔': '[', '〕': ']', '【': '[', '】': ']', '〖': '[', '〗': ']', '⟦': '[', '⟧': ']',
	'⦗': '[', '⦘': ']', '⌈': '[', '⌉': ']', '⌊': '[', '⌋': ']', '⎡': '[', '⎤': ']', '⎣': '[', '⎦': ']', '「': '[', '」': ']', '『': '[', '』': ']',
	'〚': '[', '〛': ']', '⸢': '[', '⸣': ']', '(': '[', ')': ']', '{': '[', '}': ']', '<': '[', '>': ']',
}

// place is a folded character with the character of the text that it came of.
type place struct {
	folded     rune
	start, end int
}

// fold returns the characters of s that a reader sees, in their plainest form.
func fold(s string) []place {
	var all []place
	for start, r := range s {
		end := start + len(string(r))
		if r == unicode.ReplacementChar && strings.IndexByte(s[start:], 0xEF) != 0 {
			end = start + 1
		}
		for _, f := range norm.NFKD.String(string(r)) {
			if invisible(f) {
				continue
			}
			f = unicode.ToLower(f)
			if plain, ok := shapes[f]; ok {
				f = plain
			}
			if f == 'i' || f == 'l' {
				f = 'i' // a capital I, a small L and a one look the same
			}
			all = append(all, place{f, start, end})
		}
	}
	return all
}

// invisible reports characters that a reader does not see, or that only change the look
// of the one before: blanks, controls, marks, and what has no glyph.
func invisible(r rune) bool {
	switch r {
	case 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x2800, 0x3164, 0xFFA0: // fillers (DerivedCoreProperties: Default_Ignorable)
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc, unicode.Co, unicode.Zs, unicode.Variation_Selector)
}

// Cut takes every one of words out of s, in every spelling that a reader takes for it.
// Taking one out may put another together: that goes too. So does what turns the
// direction of text around: a word may be written backwards behind it.
func Cut(s string, words []string) string {
	s = strings.Map(func(r rune) rune {
		if turns(r) {
			return -1
		}
		return r
	}, s)
	for again := true; again; {
		again = false
		for _, w := range words {
			if start, end, ok := find(s, w); ok {
				s, again = join(s[:start], s[end:]), true
			}
		}
	}
	return s
}

// turns reports the embeddings, overrides and isolates of Unicode Standard Annex #9
// section 2.
func turns(r rune) bool { return 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069 }

// join joins what stood around a word, with one blank at most.
func join(left, right string) string {
	if left == "" || strings.HasSuffix(left, " ") {
		right = strings.TrimPrefix(right, " ")
	}
	return left + right
}

// find returns where a spelling of a word stands.
func find(s, word string) (start, end int, ok bool) {
	text, wanted := fold(s), fold(word)
	if len(wanted) == 0 {
		return 0, 0, false
	}
	for i := 0; i+len(wanted) <= len(text); i++ {
		same := true
		for j := 0; same && j < len(wanted); j++ {
			same = text[i+j].folded == wanted[j].folded
		}
		if same {
			return text[i].start, text[i+len(wanted)-1].end, true
		}
	}
	return 0, 0, false
}
