package smime

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
)

// canonical returns m with CRLF line ends (RFC 8551 section 3.1.1). It refuses a
// message that two readers may understand differently.
func canonical(m *message.Message) (*message.Message, error) {
	if m.LineEnd() != message.CRLF {
		var err error
		if m, err = message.Parse(message.Canonical(m.Bytes())); err != nil {
			return nil, err
		}
	}
	if root := m.Root(); root.Ambiguous {
		return nil, fault.New(fault.Malformed, "malformed message: "+root.Defect, nil)
	}
	return m, nil
}

// hidden tells fields that name hidden recipients to everybody else.
func hidden(f message.Field) bool { return f.Is("Bcc", "Resent-Bcc") }

// contentFields returns the fields that describe the body of m: they move with
// it. A message without a Content-Type gets the one that it means (RFC 2045
// section 5.2).
func contentFields(m *message.Message) []message.Field {
	var fields []message.Field
	if !m.Has("Content-Type") {
		fields = append(fields, rawField("Content-Type", "text/plain; charset="+charset(m.Body())))
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
	case sevenBit(text):
		return "us-ascii"
	case utf8.Valid(text):
		return "utf-8"
	}
	return "unknown-8bit" // RFC 1428
}

// rawField makes a field of constants and what was checked before.
func rawField(name, value string) message.Field {
	return message.Field{Name: name, Raw: []byte(name + ": " + value + "\r\n")}
}

// header writes fields and the empty line.
func header(fields []message.Field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, f.Raw...)
		if !bytes.HasSuffix(f.Raw, []byte("\n")) {
			b = append(b, '\r', '\n')
		}
	}
	return append(b, '\r', '\n')
}

// plainEntity returns the MIME entity of m as it is: its Content-* fields and
// its body.
func plainEntity(m *message.Message) [][]byte {
	return [][]byte{header(contentFields(m)), m.Body()}
}

// errUnsafe means that an entity cannot be made to pass mail relays unchanged
// without breaking something in it.
var errUnsafe = errors.New("cannot be made safe for a clear signature")

// safeEntity returns the MIME entity of m in a form that passes mail relays
// unchanged (RFC 8551 section 3.1): 7-bit, lines of at most 76 octets.
func safeEntity(m *message.Message) ([][]byte, error) {
	fields := contentFields(m)
	if !travelsHeader(header(fields)) {
		return nil, errUnsafe
	}
	c := converter{raw: m.Bytes()}
	if err := c.content(m.Root(), fields); err != nil {
		return nil, err
	}
	return c.pieces, nil
}

// maxFieldLine is the longest line of RFC 5322, with room for what relays add.
const maxFieldLine = 990

// travelsHeader is travels for header lines, which may end with a blank: no
// relay is known that strips them.
func travelsHeader(data []byte) bool {
	if !sevenBit(data) {
		return false
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if len(line) > maxFieldLine {
			return false
		}
	}
	return true
}

// converter rewrites a MIME tree into pieces; what stays as it is stays a piece
// of the message.
type converter struct {
	raw    []byte
	pieces [][]byte
}

func (c *converter) emit(piece []byte) {
	if len(piece) > 0 {
		c.pieces = append(c.pieces, piece)
	}
}

// part converts a part below the root.
func (c *converter) part(p *message.Part) error {
	if !travelsHeader(c.raw[p.Start:p.Body]) {
		return errUnsafe
	}
	return c.content(p, p.Fields)
}

// content converts the part p, whose header is to be fields.
func (c *converter) content(p *message.Part, fields []message.Field) error {
	switch {
	case untouchable(p):
		if !travels(p.Content(), maxFieldLine) {
			return errUnsafe
		}
		c.emit(header(fields))
		c.emit(p.Content())
		return nil
	case p.Multipart():
		return c.multipart(p, fields)
	case p.MediaType == "message/rfc822":
		return c.message(p, fields)
	}
	return c.leaf(p, fields)
}

// untouchable reports whether the content must stay byte for byte: something in
// it is signed or encrypted, or RFC 2045 section 6.4 forbids an encoding, or it
// cannot be understood well enough.
func untouchable(p *message.Part) bool {
	switch p.MediaType {
	case "multipart/signed", "multipart/encrypted":
		return true
	case "message/rfc822":
		return len(p.Children) == 0
	}
	return strings.HasPrefix(p.MediaType, "message/") || p.Multipart() && len(p.Children) == 0 ||
		p.Ambiguous
}

// multipart converts the parts; what is between them cannot be encoded.
func (c *converter) multipart(p *message.Part, fields []message.Field) error {
	c.emit(header(withEncoding(fields, p, "7bit")))
	pos := p.Body
	for _, child := range p.Children {
		if err := c.gap(pos, child.Start); err != nil {
			return err
		}
		if err := c.part(child); err != nil {
			return err
		}
		pos = child.End
	}
	return c.gap(pos, p.End)
}

func (c *converter) gap(from, to int) error {
	if !travels(c.raw[from:to], maxFieldLine) {
		return errUnsafe
	}
	c.emit(c.raw[from:to])
	return nil
}

// message converts a message inside the message. One that passes relays as it
// is stays byte for byte; one that bears a DKIM or ARC signature would lose it.
func (c *converter) message(p *message.Part, fields []message.Field) error {
	if travels(p.Content(), maxFieldLine) {
		c.emit(header(withEncoding(fields, p, "7bit")))
		c.emit(p.Content())
		return nil
	}
	inner := p.Children[0]
	for _, f := range inner.Fields {
		if f.Is("DKIM-Signature", "ARC-Message-Signature") {
			return errUnsafe
		}
	}
	if !travelsHeader(c.raw[inner.Start:inner.Body]) {
		return errUnsafe
	}
	c.emit(header(withEncoding(fields, p, "7bit")))
	innerFields := inner.Fields
	if inner.Get("MIME-Version") == "" {
		innerFields = append([]message.Field{rawField("MIME-Version", "1.0")}, innerFields...)
	}
	if inner.Get("Content-Type") == "" {
		innerFields = append(innerFields[:len(innerFields):len(innerFields)],
			rawField("Content-Type", "text/plain; charset="+charset(inner.Content())))
	}
	return c.content(inner, innerFields)
}

// leaf converts a part that holds data.
func (c *converter) leaf(p *message.Part, fields []message.Field) error {
	switch p.Encoding {
	case "7bit", "8bit", "binary", "base64", "quoted-printable":
	default:
		if !travels(p.Content(), maxFieldLine) {
			return errUnsafe
		}
		c.emit(header(fields))
		c.emit(p.Content())
		return nil
	}
	if travels(p.Content(), safeLine) {
		encoding := p.Encoding
		if encoding == "8bit" || encoding == "binary" {
			encoding = "7bit"
		}
		c.emit(header(withEncoding(fields, p, encoding)))
		c.emit(p.Content())
		return nil
	}
	data, err := p.Decode()
	if err != nil {
		return errUnsafe
	}
	encoding, text := encode(p, data)
	c.emit(header(withEncoding(fields, p, encoding)))
	c.emit(text)
	return nil
}

// encode chooses a transfer encoding for the data of p and applies it.
func encode(p *message.Part, data []byte) (encoding string, text []byte) {
	name := strings.ToLower(p.Params["charset"])
	wide := strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "utf-32") || strings.HasPrefix(name, "iso-10646")
	if strings.HasPrefix(p.MediaType, "text/") && p.Encoding != "base64" && !wide && !denseBinary(data) {
		return "quoted-printable", quotedPrintable(data)
	}
	return "base64", message.EncodeBase64(data)
}

// withEncoding returns the fields with the Content-Transfer-Encoding given; the
// fields themselves where they say so already.
func withEncoding(fields []message.Field, p *message.Part, encoding string) []message.Field {
	if p.Encoding == encoding {
		return fields
	}
	out := make([]message.Field, 0, len(fields)+1)
	for _, f := range fields {
		if !f.Is("Content-Transfer-Encoding") {
			out = append(out, f)
		}
	}
	return append(out, rawField("Content-Transfer-Encoding", encoding))
}
