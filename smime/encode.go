package smime

import (
	"bytes"

	"github.com/smimerelay/smimerelay/internal/message"
)

// safeLine is the longest line of a body part that is to be signed, without its
// line end: RFC 2045 section 6.7 allows 76 octets of quoted-printable.
const safeLine = 76

// travels reports whether data passes every mail relay unchanged.
func travels(data []byte, limit int) bool { return message.ScanLines(data).Sturdy(limit) }

// denseBinary reports whether base64 is shorter than quoted-printable: an octet
// that needs escaping costs two more, and base64 costs a third of all.
func denseBinary(data []byte) bool {
	n := 0
	for _, c := range data {
		if !printable(c) && c != '\r' && c != '\n' {
			n++
		}
	}
	return n > len(data)/6
}

// printable reports whether an octet stands for itself in quoted-printable.
func printable(c byte) bool { return ' ' <= c && c < 0x7f && c != '=' || c == '\t' }

const hexDigits = "0123456789ABCDEF"

// quotedPrintable encodes text whose line ends are CRLF (RFC 2045 section 6.7);
// any other CR or LF is escaped as data. Blanks at the end of a line and "From "
// at its start are escaped too.
func quotedPrintable(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8+64)
	for len(text) > 0 {
		line, end := text, bytes.Index(text, []byte("\r\n"))
		if end >= 0 {
			line, text = text[:end], text[end+2:]
		} else {
			text = nil
		}
		out = quoteLine(out, line)
		if end >= 0 {
			out = append(out, '\r', '\n')
		}
	}
	return out
}

// quoteLine appends one line, broken softly where it is too long.
func quoteLine(out, line []byte) []byte {
	column := 0
	for i, c := range line {
		last := i == len(line)-1
		escape := !printable(c) || last && (c == ' ' || c == '\t') ||
			column == 0 && (c == '.' && last || bytes.HasPrefix(line[i:], []byte("From ")))
		width := 1
		if escape {
			width = 3
		}
		// A soft line break takes a column itself, except behind the last octet.
		limit := safeLine - 1
		if last {
			limit = safeLine
		}
		if column+width > limit {
			out = append(out, '=', '\r', '\n')
			column = 0
			if bytes.HasPrefix(line[i:], []byte("From ")) {
				escape, width = true, 3
			}
		}
		if escape {
			out = append(out, '=', hexDigits[c>>4], hexDigits[c&15])
		} else {
			out = append(out, c)
		}
		column += width
	}
	return out
}
