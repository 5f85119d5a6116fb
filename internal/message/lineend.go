package message

import "bytes"

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
func (m *Message) LineEnd() LineEnd { return LineEnds(m.raw) }

// LineEnds tells how the lines in data end.
func LineEnds(data []byte) LineEnd {
	lf := bytes.Count(data, []byte{'\n'})
	cr := bytes.Count(data, []byte{'\r'})
	switch {
	case cr == 0 && lf == 0:
		return CRLF
	case cr == 0:
		return LF
	case cr == lf && bytes.Count(data, []byte("\r\n")) == lf:
		return CRLF
	}
	return Mixed
}

// Canonical returns data with all LF-only line ends turned into CRLF (RFC 8551
// section 3.1.1); data itself when there are none. A bare CR stays: it is no
// line end.
func Canonical(data []byte) []byte {
	bare := bytes.Count(data, []byte{'\n'}) - bytes.Count(data, []byte("\r\n"))
	if bare == 0 {
		return data
	}
	out := make([]byte, 0, len(data)+bare)
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
