package message

import (
	"bytes"
	"errors"
	"strings"
)

// Field is one header field with its folds.
type Field struct {
	// Name is the field name as received.
	Name string
	// Raw is the whole field: name, colon, value, folds and the final line end.
	Raw []byte
}

// Value returns the value unfolded (RFC 5322 section 2.2.3), without the white
// space around it.
func (f Field) Value() string {
	_, value, _ := bytes.Cut(f.Raw, []byte(":"))
	return strings.Trim(unfold(value), " \t")
}

// NamesHidden reports whether the field names recipients whom no other recipient
// is to see (RFC 5322 sections 3.6.3 and 3.6.6). It leaves the gateway in nothing.
func (f Field) NamesHidden() bool { return f.Is("Bcc", "Resent-Bcc") }

// Is reports whether the field has one of the names, whatever their case.
func (f Field) Is(names ...string) bool {
	for _, name := range names {
		// Names have ASCII only, in which equal ones are of one length.
		if len(f.Name) == len(name) && strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Structural reports whether the field belongs to the MIME entity and not to
// the message: RFC 9788 section 1.1.1.
func (f Field) Structural() bool {
	return hasPrefixFold(f.Name, "Content-") || f.Is("MIME-Version")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// unfold removes line ends: a fold is a line end before white space, and what
// is no fold cannot be in a field.
func unfold(value []byte) string {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return string(value)
	}
	var b strings.Builder
	b.Grow(len(value))
	for _, c := range value {
		if c != '\r' && c != '\n' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var (
	errNoColon    = errors.New("a header line is no field")
	errFirstFold  = errors.New("the header starts with a continuation line")
	errHeaderCR   = errors.New("bare CR in the header")
	errHeaderSize = errors.New("header too large")
)

// line returns the end of the line that starts at pos, behind its line end, and
// the length of that line end: 2, 1, or 0 at the end of the input.
func line(raw []byte, pos int) (end, eol int) {
	i := bytes.IndexByte(raw[pos:], '\n')
	if i < 0 {
		return len(raw), 0
	}
	end, eol = pos+i+1, 1
	if i > 0 && raw[end-2] == '\r' {
		eol = 2
	}
	return end, eol
}

// header is what readHeader found.
type header struct {
	fields []Field
	body   int // where the body starts
	// err says why the header ended before its empty line, nil if it did not.
	err error
}

// readHeader splits a header into fields. It ends at the empty line, at the end
// of the input, at a line for which stop holds, and, with err set, at the first
// line that can not belong to a header.
func readHeader(raw []byte, pos int, stop func(pos int) bool) header {
	var h header
	h.read(raw, pos, stop)
	return h
}

func (h *header) read(raw []byte, pos int, stop func(pos int) bool) {
	start := pos
	for pos < len(raw) {
		end, eol := line(raw, pos)
		if end-pos == eol {
			h.body = end
			return
		}
		if stop(pos) {
			break
		}
		if end-start > maxHeader {
			h.err = errHeaderSize
			break
		}
		if h.err = h.add(raw, pos, end, eol); h.err != nil {
			break
		}
		pos = end
	}
	h.body = pos
}

// add takes the line raw[pos:end] into the header.
func (h *header) add(raw []byte, pos, end, eol int) error {
	text := raw[pos : end-eol]
	if bytes.IndexByte(text, '\r') >= 0 {
		return errHeaderCR
	}
	if text[0] == ' ' || text[0] == '\t' {
		n := len(h.fields)
		if n == 0 {
			return errFirstFold
		}
		last := &h.fields[n-1]
		last.Raw = raw[pos-len(last.Raw) : end : end]
		return nil
	}
	name, ok := fieldName(text)
	if !ok {
		return errNoColon
	}
	if h.fields == nil {
		h.fields = make([]Field, 0, 8)
	}
	h.fields = append(h.fields, Field{Name: name, Raw: raw[pos:end:end]})
	return nil
}

// fieldName returns the name of a field (RFC 5322 section 2.2). White space
// before the colon is obsolete syntax (section 4.5) and does not belong to the
// name, so that a field cannot hide behind it.
func fieldName(text []byte) (string, bool) {
	name, _, ok := bytes.Cut(text, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) == 0 {
		return "", false
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return "", false
		}
	}
	if known, ok := fieldNames[string(name)]; ok {
		return known, true
	}
	return string(name), true
}

// fieldNames saves an allocation for each field of nearly every message.
var fieldNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Received", "Return-Path", "Delivered-To", "DKIM-Signature", "Authentication-Results", "From", "Sender",
		"Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "Message-Id", "In-Reply-To", "References",
		"MIME-Version", "Mime-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
		"Content-ID", "Content-Id", "Content-Language", "Content-Description", "User-Agent", "X-Mailer",
		"X-SMIME-Status",
	} {
		names[name] = name
	}
	return names
}()

// RawField returns a field of texts that are known to be good: constants, and what
// was checked before. NewField is for all others.
func RawField(name, value string) Field {
	return Field{Name: name, Raw: []byte(name + ": " + value + "\r\n")}
}

// WriteHeader returns fields and the empty line that ends a header.
func WriteHeader(fields []Field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, f.Raw...)
		if !bytes.HasSuffix(f.Raw, []byte("\n")) {
			b = append(b, '\r', '\n')
		}
	}
	return append(b, '\r', '\n')
}
