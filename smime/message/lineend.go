package message

import (
	"bytes"
	"encoding/binary"
)

// LineEnd says how the lines of a message end.
type LineEnd int

// The line ends.
const (
	// CRLF is what RFC 5322 asks for, and what a message without lines has.
	CRLF LineEnd = iota
	// LF is what files on this system have.
	LF
	// Mixed is neither: a bare CR, or LF with and without CR.
	Mixed
)

// LineEnd tells how the lines of the message end.
func (m *Message) LineEnd() LineEnd {
	if m.canonical {
		return CRLF
	}
	head, body := LineEnds(m.head), LineEnds(m.Body())
	switch {
	case head == body, len(m.Body()) == 0:
		return head
	case bytes.IndexByte(m.Body(), '\n') < 0 && body == CRLF:
		return head // no line end at all
	}
	return Mixed
}

// LineEnds tells how the lines in data end.
func LineEnds(data []byte) LineEnd {
	switch {
	case ScanLines(data).CRLF:
		return CRLF
	case bytes.IndexByte(data, '\r') < 0:
		return LF
	}
	return Mixed
}

// Canonical returns data with all LF-only line ends turned into CRLF (RFC 8551
// section 3.1.1); data itself when there are none. A bare CR stays: it is no
// line end.
func Canonical(data []byte) []byte {
	if LineEnds(data) == CRLF {
		return data
	}
	out := make([]byte, 0, len(data)+bytes.Count(data, []byte{'\n'}))
	for len(data) > 0 {
		end, eol := line(data, 0)
		if eol == 1 {
			out = append(out, data[:end-1]...)
			out = append(out, '\r', '\n')
		} else {
			out = append(out, data[:end]...)
		}
		data = data[end:]
	}
	return out
}

// Scan is what one pass over text tells about its lines.
type Scan struct {
	// CRLF says that there is no CR and no LF but in pairs.
	CRLF bool
	// ASCII says that there are no octets over 127 and no NUL.
	ASCII bool
	// Longest is the length of the longest line, without its line end.
	Longest int
	// Fragile says that relays may change a line: one ends with a blank or
	// starts with "From ".
	Fragile bool

	text []byte
}

// ScanLines makes one pass over text. The lines of what is large are nearly all
// of one length, so it looks for the end of a line first where the one before
// had it.
func ScanLines(text []byte) Scan {
	s := Scan{CRLF: true, ASCII: true, text: text}
	width := 0
	for rest := text; len(rest) > 0; {
		if width > 0 && width+1 < len(rest) && rest[width] == '\r' && rest[width+1] == '\n' && plain(rest[:width]) {
			s.edges(rest[:width])
			rest = rest[width+2:]
			continue
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			s.line(rest)
			break
		}
		if width = i - 1; i == 0 || rest[width] != '\r' {
			s.CRLF = false
			s.line(rest[:i])
		} else {
			s.line(rest[:width])
		}
		rest = rest[i+1:]
	}
	return s
}

// Words of eight octets: the high bit of each, the low bit of each.
const (
	highBits = 0x8080808080808080
	lowBits  = 0x0101010101010101
)

// plain reports whether text has nothing but octets from 16 to 127: no line
// ends, no NUL, no 8-bit. A few others fail too.
func plain(text []byte) bool {
	var odd uint64
	for ; len(text) >= 32; text = text[32:] {
		four := (*[32]byte)(text)
		a, b := binary.LittleEndian.Uint64(four[:8]), binary.LittleEndian.Uint64(four[8:16])
		c, d := binary.LittleEndian.Uint64(four[16:24]), binary.LittleEndian.Uint64(four[24:])
		odd |= a | (a - 16*lowBits) | b | (b - 16*lowBits) | c | (c - 16*lowBits) | d | (d - 16*lowBits)
	}
	for ; len(text) >= 8; text = text[8:] {
		word := binary.LittleEndian.Uint64(text)
		odd |= word | (word - 16*lowBits)
	}
	for _, c := range text {
		if c < 16 || c >= 0x80 {
			return false
		}
	}
	return odd&highBits == 0
}

// line looks at one line.
func (s *Scan) line(text []byte) {
	if len(text) > 0 {
		s.edges(text)
	}
	if !plain(text) {
		s.octets(text)
	}
}

// edges looks at the length and the ends of a line that is not empty.
func (s *Scan) edges(text []byte) {
	n := len(text)
	s.Longest = max(s.Longest, n)
	if last := text[n-1]; last == ' ' || last == '\t' || text[0] == 'F' && bytes.HasPrefix(text, []byte("From ")) {
		s.Fragile = true
	}
}

// octets looks at each octet of a line.
func (s *Scan) octets(text []byte) {
	for _, c := range text {
		if c == 0 || c >= 0x80 {
			s.ASCII = false
		} else if c == '\r' {
			s.CRLF = false
		}
	}
}

// Text returns what was looked at.
func (s Scan) Text() []byte { return s.text }

// Sturdy reports whether every relay passes the text on unchanged: ASCII, CRLF
// line ends, no line over limit octets, none fragile (RFC 8551 section 3.1.3).
func (s Scan) Sturdy(limit int) bool {
	return s.ASCII && s.CRLF && !s.Fragile && s.Longest <= limit
}

// A Scan is a Piece that need not be looked at again.

func (s Scan) size() int                           { return len(s.text) }
func (s Scan) appendTo(dst []byte) ([]byte, error) { return append(dst, s.text...), nil }

func (s Scan) check(limit int) error {
	switch {
	case !s.CRLF:
		return errBareCR
	case limit > 0 && s.Longest > limit:
		return errLongLine
	}
	return nil
}
