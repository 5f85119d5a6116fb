package smime

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// canonical returns m with CRLF line ends (RFC 8551 section 3.1.1).
func canonical(m *message.Message) (*message.Message, error) {
	if m.LineEnd() == message.CRLF {
		return m, nil
	}
	return message.Parse(message.Canonical(m.Bytes()))
}

// sendable refuses a message that two readers may understand differently: some end
// a field at a NUL, which no field may have (RFC 5322 section 2.2).
func sendable(m *message.Message) error {
	for _, f := range m.Fields() {
		if bytes.IndexByte(f.Raw, 0) >= 0 {
			return fault.New(fault.Malformed, fmt.Sprintf("malformed message: a NUL in field %q", f.Name), nil)
		}
	}
	return unambiguous(m)
}

// unambiguous refuses a message of which two readers may see different parts.
func unambiguous(m *message.Message) error {
	if root := m.Root(); root.Ambiguous {
		return fault.New(fault.Malformed, "malformed message: "+root.Defect, nil)
	}
	return nil
}

// contentFields returns the fields that describe the body of m: they move with
// it. A message without a Content-Type gets the one that it means (RFC 2045
// section 5.2).
func contentFields(m *message.Message) []message.Field {
	var fields []message.Field
	if !m.Has("Content-Type") {
		fields = append(fields, message.RawField("Content-Type", "text/plain; charset="+charsetOf(m.Root())))
	}
	for _, f := range m.Fields() {
		if f.Structural() && !f.Is("MIME-Version") {
			fields = append(fields, f)
		}
	}
	return fields
}

// charset names the character set of text that says nothing about it.
func charset(text []byte) string {
	switch {
	case message.ScanLines(text).ASCII:
		return "us-ascii"
	case utf8.Valid(text):
		return "utf-8"
	}
	return unknownCharset
}

// unknownCharset is RFC 1428's.
const unknownCharset = "unknown-8bit"

// charsetOf is charset for the content of a part, which may be large. One that cannot be
// read is of an unknown character set; writing it fails too.
func charsetOf(p *message.Part) string {
	if !p.Large() {
		return charset(p.Content())
	}
	var u utf8Scan
	if _, err := io.Copy(&u, p.ContentReader()); err != nil {
		return unknownCharset
	}
	return u.charset()
}

// A utf8Scan looks at text in pieces.
type utf8Scan struct {
	other   bool   // octets that are not ASCII, or NUL
	invalid bool   // octets that are not UTF-8
	rest    []byte // the start of a character
}

// Write is that of io.Writer.
func (u *utf8Scan) Write(text []byte) (int, error) {
	size := len(text)
	u.other = u.other || !message.ScanLines(text).ASCII
	for len(u.rest) > 0 && len(text) > 0 && !utf8.FullRune(u.rest) {
		u.rest, text = append(u.rest, text[0]), text[1:]
	}
	if utf8.FullRune(u.rest) {
		u.invalid, u.rest = u.invalid || !utf8.Valid(u.rest), u.rest[:0]
	}
	end := len(text)
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				end -= n
			}
			break
		}
	}
	u.invalid = u.invalid || !utf8.Valid(text[:end])
	u.rest = append(u.rest, text[end:]...)
	return size, nil
}

func (u *utf8Scan) charset() string {
	switch {
	case !u.other:
		return "us-ascii"
	case !u.invalid && len(u.rest) == 0:
		return "utf-8"
	}
	return unknownCharset
}

// plainEntity returns the MIME entity of m as it is: its Content-* fields and
// its body.
func plainEntity(m *message.Message, p HeaderProtection) ([][]byte, error) {
	fields, err := innerFields(m, p)
	if err != nil {
		return nil, err
	}
	return [][]byte{message.WriteHeader(fields), m.Body()}, nil
}
