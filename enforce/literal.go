package enforce

import (
	"regexp/syntax"
	"strings"
	"unicode"
)

// literals lists rules, in their order, under texts that must be in what a message
// says, so that those whose text is not there need not be looked at. A text is found by
// its length and itself, whatever their number.
type literals map[int]map[string][]int

// add lists rule i under a text.
func (l literals) add(text string, i int) {
	if l[len(text)] == nil {
		l[len(text)] = make(map[string][]int)
	}
	put := l[len(text)]
	put[text] = append(put[text], i)
}

// prefixes appends the lists of rules whose text s begins with.
func (l literals) prefixes(to [][]int, s string) [][]int {
	for n, lists := range l {
		if n <= len(s) {
			to = appendList(to, lists[s[:n]])
		}
	}
	return to
}

// suffixes appends the lists of rules whose text s ends with.
func (l literals) suffixes(to [][]int, s string) [][]int {
	for n, lists := range l {
		if n <= len(s) {
			to = appendList(to, lists[s[len(s)-n:]])
		}
	}
	return to
}

// within appends the lists of rules whose text is in s.
func (l literals) within(to [][]int, s string) [][]int {
	for n, lists := range l {
		for i := 0; i+n <= len(s); i++ {
			to = appendList(to, lists[s[i:i+n]])
		}
	}
	return to
}

func appendList(to [][]int, list []int) [][]int {
	if len(list) == 0 {
		return to
	}
	return append(to, list)
}

// foldKey returns a text that two texts share if strings.EqualFold holds of them.
func foldKey(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// required returns a text, by its foldKey, that is in whatever an expression matches;
// "" if none is known.
func required(expression string) string {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return ""
	}
	return foldKey(requiredOf(re))
}

func requiredOf(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return requiredOf(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return requiredOf(re.Sub[0])
		}
	case syntax.OpConcat:
		longest := ""
		for _, sub := range re.Sub {
			if s := requiredOf(sub); len(s) > len(longest) {
				longest = s
			}
		}
		return longest
	}
	return ""
}
