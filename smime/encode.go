package smime

import (
	"bytes"
	"unicode/utf8"
)

// safeLine is the longest line of a body part that is to be signed, without its
// line end: RFC 2045 section 6.7 allows 76 octets of quoted-printable.
const safeLine = 76

// travels reports whether data passes every mail relay unchanged: ASCII, CRLF
// line ends, no line over limit octets, none that ends with a blank, none that
// starts with "From " (RFC 8551 section 3.1.3).
func travels(data []byte, limit int) bool {
	if !sevenBit(data) {
		return false
	}
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i < 0 {
			data = nil
		} else if i == 0 || data[i-1] != '\r' {
			return false
		} else {
			line, data = data[:i-1], data[i+1:]
		}
		if !lineTravels(line, limit) {
			return false
		}
	}
	return true
}

func lineTravels(line []byte, limit int) bool {
	n := len(line)
	if n == 0 {
		return true
	}
	if n > limit || line[n-1] == ' ' || line[n-1] == '\t' || bytes.HasPrefix(line, []byte("From ")) {
		return false
	}
	return bytes.IndexByte(line, '\r') < 0
}

// sevenBit reports whether data is ASCII without NUL.
func sevenBit(data []byte) bool {
	if bytes.IndexByte(data, 0) >= 0 {
		return false
	}
	for len(data) >= 8 {
		if (data[0]|data[1]|data[2]|data[3]|data[4]|data[5]|data[6]|data[7])&utf8.RuneSelf != 0 {
			return false
		}
		data = data[8:]
	}
	for _, c := range data {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

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
