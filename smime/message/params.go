package message

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parseParams reads a value of the form of Content-Type or Content-Disposition
// (RFC 2045 section 5.1, RFC 2231): what comes before the first ";" without
// comments, and the parameters. It takes what mail programs write, such as
// unquoted values that need quotes; ok is false where two readers may come to
// different parameters.
func parseParams(value string) (head string, params map[string]string, ok bool) {
	l := lexer{s: value}
	ok = l.cfws()
	head = l.until(";(")
	ok = l.cfws() && ok
	params = map[string]string{}
	for !l.end() {
		if l.s[l.i] != ';' {
			ok = false
			l.until(";")
			continue
		}
		l.i++
		if !l.param(params) {
			ok = false
		}
	}
	return head, params, joinContinuations(params) && ok
}

// param reads one parameter into params; the first of a name counts.
func (l *lexer) param(params map[string]string) bool {
	ok := l.cfws()
	if l.end() || l.s[l.i] == ';' {
		return ok
	}
	name := strings.ToLower(l.until("=;("))
	ok = l.cfws() && ok
	if l.end() || l.s[l.i] != '=' {
		return false
	}
	l.i++
	ok = l.cfws() && ok
	var value string
	if !l.end() && l.s[l.i] == '"' {
		var closed bool
		value, closed = l.quoted()
		ok = closed && ok
	} else {
		value = l.until(";( \t")
	}
	ok = l.cfws() && ok
	if _, dup := params[name]; dup || !isToken(name) {
		return false
	}
	params[name] = value
	return ok
}

// lexer reads structured field values (RFC 5322 section 3.2), unfolded.
type lexer struct {
	s string
	i int
}

func (l *lexer) end() bool { return l.i >= len(l.s) }

// until reads up to any of the octets in stop and trims the white space.
func (l *lexer) until(stop string) string {
	n := strings.IndexAny(l.s[l.i:], stop)
	if n < 0 {
		n = len(l.s) - l.i
	}
	text := l.s[l.i : l.i+n]
	l.i += n
	return strings.Trim(text, " \t")
}

// cfws skips white space and comments; false if a comment has no end.
func (l *lexer) cfws() bool {
	for !l.end() {
		switch l.s[l.i] {
		case ' ', '\t':
			l.i++
		case '(':
			if !l.comment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// comment skips a comment, which may hold comments.
func (l *lexer) comment() bool {
	depth := 0
	for ; !l.end(); l.i++ {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.i++
				return true
			}
		}
	}
	l.i = len(l.s)
	return false
}

// quoted reads a quoted-string that starts here.
func (l *lexer) quoted() (string, bool) {
	rest := l.s[l.i+1:]
	if n := strings.IndexAny(rest, `"\`); n >= 0 && rest[n] == '"' { // nearly always
		l.i += n + 2
		return rest[:n], true
	}
	var b strings.Builder
	for l.i++; !l.end(); l.i++ {
		switch c := l.s[l.i]; c {
		case '"':
			l.i++
			return b.String(), true
		case '\\':
			if l.i++; !l.end() {
				b.WriteByte(l.s[l.i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), false
}

// section is one piece of a parameter that RFC 2231 section 3 splits.
type section struct {
	number  int
	encoded bool
	value   string
}

// joinContinuations replaces name*, name*0, name*0*, name*1 ... by name.
func joinContinuations(params map[string]string) bool {
	var split map[string][]section
	for key, value := range params {
		name, rest, found := strings.Cut(key, "*")
		if !found {
			continue
		}
		delete(params, key)
		number, encoded := strings.CutSuffix(rest, "*")
		if rest == "" {
			number, encoded = "0", true
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return false
		}
		if split == nil {
			split = map[string][]section{}
		}
		split[name] = append(split[name], section{n, encoded, value})
	}
	ok := true
	for name, sections := range split {
		if _, plain := params[name]; plain {
			// The plain form beside the extended one is for old readers; they
			// may only disagree about names for people.
			ok = ok && name != "boundary" && name != "protocol" && name != "smime-type"
		}
		params[name] = joinSections(sections)
	}
	return ok
}

func joinSections(sections []section) string {
	slices.SortFunc(sections, func(a, b section) int { return cmp.Compare(a.number, b.number) })
	var b strings.Builder
	for i, s := range sections {
		value := s.value
		if s.encoded {
			if i == 0 {
				// charset'language'value
				if parts := strings.SplitN(value, "'", 3); len(parts) == 3 {
					value = parts[2]
				}
			}
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
		}
		b.WriteString(value)
	}
	return b.String()
}

// encodingToken reads a Content-Transfer-Encoding.
func encodingToken(value string) string {
	l := lexer{s: value}
	l.cfws()
	return strings.ToLower(l.until(";( \t"))
}

// isToken reports whether s is a token of RFC 2045 section 5.1.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !tokenOctet[c] {
			return false
		}
	}
	return s != ""
}

// tokenOctet has the octets that a token may have.
var tokenOctet = func() (may [256]bool) {
	for c := byte('!'); c < 0x7f; c++ {
		may[c] = strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
	}
	return may
}()
