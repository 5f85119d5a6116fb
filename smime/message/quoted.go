package message

import "bytes"

// quotedLine is the longest line of quoted-printable (RFC 2045 section 6.7).
const quotedLine = 76

// Quoted returns a piece that is the quoted-printable form of text whose line
// ends are CRLF; any other CR or LF is escaped as data. Blanks at the end of a
// line, "From " at its start and a dot alone are escaped too, which some relays
// change (RFC 8551 section 3.1.3).
func Quoted(text []byte) Piece {
	q := quoter{counting: true}
	q.text(text)
	return quotedPiece{text: text, n: q.n}
}

type quotedPiece struct {
	text []byte
	n    int
}

func (p quotedPiece) size() int       { return p.n }
func (p quotedPiece) check(int) error { return nil }

func (p quotedPiece) appendTo(dst []byte) ([]byte, error) {
	q := quoter{out: dst}
	q.text(p.text)
	return q.out, nil
}

// literal tells the octets that stand for themselves.
var literal = func() (table [256]bool) {
	for c := range table {
		table[c] = ' ' <= c && c < 0x7f && c != '=' || c == '\t'
	}
	return table
}()

// quoter encodes, or counts how long the encoded form will be.
type quoter struct {
	out      []byte
	counting bool
	n        int
	column   int
}

func (q *quoter) put(s []byte) {
	q.n += len(s)
	if !q.counting {
		q.out = append(q.out, s...)
	}
}

func (q *quoter) text(text []byte) {
	for len(text) > 0 {
		line, rest, found := bytes.Cut(text, []byte("\r\n"))
		q.some(line, 0)
		if found {
			q.end()
		}
		text = rest
	}
}

// end ends a line.
func (q *quoter) end() {
	q.put([]byte("\r\n"))
	q.column = 0
}

// some encodes what is left of a line until no more than keep octets are left, and returns
// those. The line is broken softly where it is too long. The column 76 is for the sign of
// a soft line break, and for the last octet of the line.
func (q *quoter) some(line []byte, keep int) []byte {
	for len(line) > keep {
		if n := q.run(line); n > 0 {
			q.put(line[:n])
			q.column += n
			line = line[n:]
			continue
		}
		width, last := 3, len(line) == 1
		if q.stands(line) {
			width = 1
		}
		if q.column+width > quotedLine-1 && !(last && q.column+width == quotedLine) {
			q.put([]byte("=\r\n"))
			q.column = 0
			continue
		}
		if c := line[0]; width == 1 {
			q.put(line[:1])
		} else {
			q.put([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
		q.column += width
		line = line[1:]
	}
	return line
}

const hexDigits = "0123456789ABCDEF"

// run returns how many octets from the start of line stand for themselves and
// fit before column 76.
func (q *quoter) run(line []byte) int {
	if !q.stands(line) {
		return 0
	}
	n, room := 0, quotedLine-1-q.column
	for n < len(line) && n < room && literal[line[n]] {
		n++
	}
	if n == len(line) && n > 0 && (line[n-1] == ' ' || line[n-1] == '\t') {
		n--
	}
	return n
}

// stands reports whether the first octet of line stands for itself there.
func (q *quoter) stands(line []byte) bool {
	c := line[0]
	switch {
	case !literal[c]:
		return false
	case len(line) == 1 && (c == ' ' || c == '\t'):
		return false
	case q.column == 0 && len(line) == 1 && c == '.':
		return false
	}
	return q.column > 0 || c != 'F' || !bytes.HasPrefix(line, []byte("From "))
}
