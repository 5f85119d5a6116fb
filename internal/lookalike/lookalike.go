// Package lookalike finds words in a text whatever spelling a reader takes for them:
// other forms of a letter, letters of other scripts of the same shape, invisible
// characters, blanks and accents in between.
package lookalike

import (
	"slices"
	"unicode"
	"unicode/utf8"

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

// place is a folded character with where its character starts in the text.
type place struct {
	folded rune
	start  int
}

// foldedASCII is what fold returns for ASCII, of which most text is.
var foldedASCII = func() (all [utf8.RuneSelf][]rune) {
	for r := range all {
		all[r] = foldAny(rune(r))
	}
	return all
}()

// fold returns the characters that a reader sees of one, in their plainest form. They are
// not to be changed.
func fold(r rune) []rune {
	if 0 <= r && r < utf8.RuneSelf {
		return foldedASCII[r]
	}
	return foldAny(r)
}

func foldAny(r rune) []rune {
	var all []rune
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
		all = append(all, f)
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
// direction of text around: a word may be written backwards behind it. It goes through s
// once, however many words there are in it.
func Cut(s string, words []string) string {
	c := cutter{}
	for _, w := range words {
		var folded []rune
		for _, r := range w {
			folded = append(folded, fold(r)...)
		}
		if len(folded) > 0 {
			c.words = append(c.words, folded)
		}
	}
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if !turns(r) {
			c.add(r, s[:n])
		}
		s = s[n:]
	}
	return string(c.kept)
}

// cutter holds what was kept so far, in which there is none of the words.
type cutter struct {
	words [][]rune
	kept  []byte
	seen  []place // of what was kept
	// cut says that a word was taken out right before: one blank at most stays there.
	cut bool
}

// add keeps one more character, and takes out the word that it completes.
func (c *cutter) add(r rune, octets string) {
	blank := c.cut && r == ' ' && (len(c.kept) == 0 || c.kept[len(c.kept)-1] == ' ')
	c.cut = false
	if blank {
		return
	}
	start := len(c.kept)
	c.kept = append(c.kept, octets...)
	for _, f := range fold(r) {
		c.seen = append(c.seen, place{f, start})
		if i := c.completed(); i >= 0 {
			c.cutFrom(c.seen[i].start)
			return
		}
	}
}

// completed returns where in seen a word starts that ends it, -1 if there is none.
func (c *cutter) completed() int {
	for _, w := range c.words {
		i := len(c.seen) - len(w)
		if i >= 0 && slices.EqualFunc(c.seen[i:], w, func(p place, f rune) bool { return p.folded == f }) {
			return i
		}
	}
	return -1
}

// cutFrom takes out whole characters: one may be more than one letter.
func (c *cutter) cutFrom(start int) {
	n := len(c.seen)
	for n > 0 && c.seen[n-1].start >= start {
		n--
	}
	c.seen, c.kept, c.cut = c.seen[:n], c.kept[:start], true
}

// turns reports the embeddings, overrides and isolates of Unicode Standard Annex #9
// section 2.
func turns(r rune) bool { return 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069 }
