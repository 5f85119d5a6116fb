package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Line lengths of RFC 5322 section 2.1.1, without the line end.
const (
	maxLine  = 998
	niceLine = 78
)

var (
	errFieldName  = errors.New("not a field name")
	errFieldOctet = errors.New("a line end, a control character or a non-ASCII octet in the value")
	errFieldLong  = errors.New("a word too long for a line")
)

// NewField makes a header field from an unfolded value. It folds at white space,
// at column 78 where it can, and refuses what would end the field early or not
// pass a 7-bit path: line ends, control characters other than tab, octets over
// 126.
func NewField(name, value string) (Field, error) {
	if parsed, ok := fieldName([]byte(name + ":")); !ok || parsed != name || strings.Contains(name, ":") {
		return Field{}, fmt.Errorf("field %q: %w", name, errFieldName)
	}
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c >= 0x7f {
			return Field{}, fmt.Errorf("field %s: %w", name, errFieldOctet)
		}
	}
	raw, err := fold(name+": "+strings.Trim(value, " \t"), niceLine)
	if err != nil {
		return Field{}, fmt.Errorf("field %s: %w", name, err)
	}
	return Field{Name: name, Raw: raw}, nil
}

// fold breaks text into lines of at most width octets if words allow it, and of
// 998 always. A line is broken before white space that is followed by a word,
// so that no line is blank.
func fold(text string, width int) ([]byte, error) {
	b := make([]byte, 0, len(text)+2*(len(text)/width+4))
	for len(text) > width {
		i := foldPoint(text, width)
		if i < 0 {
			break
		}
		if i > maxLine {
			return nil, errFieldLong
		}
		b = append(append(b, text[:i]...), "\r\n"...)
		text = text[i:]
	}
	if len(text) > maxLine {
		return nil, errFieldLong
	}
	return append(append(b, text...), "\r\n"...), nil
}

// foldPoint returns the last place up to width, or else the first after it,
// where text can be broken; -1 if there is none.
func foldPoint(text string, width int) int {
	found, word := -1, false
	for i := 0; i+1 < len(text); i++ {
		blank := text[i] == ' ' || text[i] == '\t'
		if !blank {
			word = true
			continue
		}
		if !word || text[i+1] == ' ' || text[i+1] == '\t' {
			continue
		}
		if i > width && found >= 0 {
			return found
		}
		found = i
		if i > width {
			return found
		}
	}
	return found
}

// Folded returns f with no line over 998 octets where white space allows it: lines that are
// longer are broken there.
func (f Field) Folded() Field {
	if ScanLines(f.Raw).Longest <= maxLine {
		return f
	}
	var raw []byte
	for line := range bytes.Lines(f.Raw) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if len(text) > maxLine {
			if folded, err := fold(text, maxLine); err == nil {
				line = folded
			}
		}
		raw = append(raw, line...)
	}
	return Field{Name: f.Name, Raw: raw}
}
