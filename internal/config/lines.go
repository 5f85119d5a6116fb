package config

import (
	"strconv"
	"strings"
)

// lineIndex finds the line of every key in a document that the TOML parser has
// accepted. The parser knows the lines too and keeps them to itself. Because the
// syntax is known to be right, the scanner only has to find its way: what it
// does not understand it steps over. Keys inside inline tables and arrays count
// as standing where their value begins.
func lineIndex(doc string) map[string]int {
	s := &lineScanner{doc: doc, line: 1, lines: map[string]int{}, counts: map[string]int{}}
	for s.pos < len(s.doc) {
		s.statement()
	}
	return s.lines
}

type lineScanner struct {
	doc    string
	pos    int
	line   int
	prefix string         // path of the table that we are in
	lines  map[string]int // path to line
	counts map[string]int // path of an array of tables to its length so far
}

// statement reads a table header, a key with its value, a comment or a blank
// line, with the line end.
func (s *lineScanner) statement() {
	s.blanks()
	switch {
	case s.pos >= len(s.doc):
	case s.doc[s.pos] == '\n':
		s.next()
	case s.doc[s.pos] == '#':
		s.comment()
	case s.doc[s.pos] == '[':
		s.header()
	default:
		s.lines[join(s.prefix, s.key())] = s.line
		s.value()
	}
}

func (s *lineScanner) header() {
	line := s.line
	array := strings.HasPrefix(s.doc[s.pos:], "[[")
	s.pos++
	if array {
		s.pos++
	}
	path := s.resolve(s.key())
	if array {
		s.counts[path]++
		path += "[" + strconv.Itoa(s.counts[path]-1) + "]"
	}
	s.prefix = path
	s.lines[path] = line
	s.comment()
}

// resolve puts the index of the newest element behind each array of tables in
// the path but the last: [[a]] and then [a.b] is a[0].b.
func (s *lineScanner) resolve(dotted string) string {
	parts := strings.Split(dotted, ".")
	path := ""
	for i, p := range parts {
		path = join(path, p)
		if n := s.counts[path]; n > 0 && i < len(parts)-1 {
			path += "[" + strconv.Itoa(n-1) + "]"
		}
	}
	return path
}

// key reads a dotted key up to the "=" or "]" behind it.
func (s *lineScanner) key() string {
	var b strings.Builder
	for s.pos < len(s.doc) {
		switch c := s.doc[s.pos]; c {
		case '=', ']', '\n':
			s.next()
			return b.String()
		case ' ', '\t', '\r':
			s.pos++
		case '"', '\'':
			start := s.pos
			s.quoted()
			b.WriteString(strings.Trim(s.doc[start:s.pos], `"'`))
		default:
			b.WriteByte(c)
			s.pos++
		}
	}
	return b.String()
}

// value steps over a value: up to a line end or comment outside all brackets
// and quotes.
func (s *lineScanner) value() {
	depth := 0
	for s.pos < len(s.doc) {
		switch s.doc[s.pos] {
		case '"', '\'':
			s.quoted()
			continue
		case '#':
			s.comment()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			if depth <= 0 {
				s.next()
				return
			}
		}
		s.next()
	}
}

// quoted steps over a string of any of the four kinds.
func (s *lineScanner) quoted() {
	quote := s.doc[s.pos : s.pos+1]
	escapes := quote == `"`
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.doc[s.pos:], long) {
		quote = long
	}
	s.pos += len(quote)
	for s.pos < len(s.doc) && !strings.HasPrefix(s.doc[s.pos:], quote) {
		if escapes && s.doc[s.pos] == '\\' {
			s.next()
		}
		s.next()
	}
	s.pos = min(s.pos+len(quote), len(s.doc))
	// Up to two quotes may stand just before the closing three.
	for len(quote) == 3 && s.pos < len(s.doc) && s.doc[s.pos] == quote[0] {
		s.pos++
	}
}

func (s *lineScanner) comment() {
	for s.pos < len(s.doc) && s.doc[s.pos] != '\n' {
		s.pos++
	}
}

func (s *lineScanner) blanks() {
	for s.pos < len(s.doc) && strings.IndexByte(" \t\r", s.doc[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *lineScanner) next() {
	if s.pos < len(s.doc) && s.doc[s.pos] == '\n' {
		s.line++
	}
	s.pos++
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
