package smtpd

import (
	"bytes"
	"io"
)

// content finds the end of the message of DATA, and takes off the dots that were added
// (RFC 5321 section 4.5.2), in whatever pieces it comes. A line ends with CRLF and with
// nothing else: what others take for a line end is text here, and the scanner refuses it.
type content int

// How far the last octets agree with the end of a message, CRLF dot CRLF.
const (
	inLine content = iota
	afterCR
	atLine // at the beginning of a line, as the message is when it begins
	afterDot
	afterDotCR
)

// copy writes to w what is text of data, which is not empty, up to the end of the message
// if that is there. It returns how much of data is read, and whether that is the end.
func (c *content) copy(w io.Writer, data []byte) (n int, ended bool, err error) {
	for n < len(data) {
		text, taken, ended := c.next(data[n:])
		n += taken
		if _, err := w.Write(text); err != nil || ended {
			return n, ended, err
		}
	}
	return n, false, nil
}

// next returns the text at the beginning of data, which may be none, how much of data is
// read with it, and whether that was the end of the message.
func (c *content) next(data []byte) (text []byte, n int, ended bool) {
	switch first := data[0]; {
	case *c == atLine && first == '.':
		*c = afterDot
		return nil, 1, false
	case *c == afterDot && first == '\r':
		*c = afterDotCR
		return nil, 1, false
	case *c == afterDotCR && first == '\n':
		*c = atLine
		return nil, 1, true
	case *c == afterCR && first == '\n':
		*c = atLine
		return data[:1], 1, false
	}
	if i := bytes.Index(data, []byte("\r\n.")); i >= 0 {
		*c = atLine
		return data[:i+2], i + 2, false
	}
	switch {
	case bytes.HasSuffix(data, []byte("\r\n")):
		*c = atLine
	case bytes.HasSuffix(data, []byte("\r")):
		*c = afterCR
	default:
		*c = inLine
	}
	return data, len(data), false
}
