package smime

import (
	"bytes"
	"fmt"
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
		fields = append(fields, message.RawField("Content-Type", "text/plain; charset="+charset(m.Body())))
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
	return "unknown-8bit" // RFC 1428
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
