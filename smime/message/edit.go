package message

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// Change is a list of edits to a message.
type Change struct {
	// Remove tells which header fields go; nil: none.
	Remove func(Field) bool
	// Prepend are new fields for the top of the header, in this order.
	Prepend []Field
	// Append are new fields for the end of the header, before those of Entity.
	Append []Field
	// Entity replaces the Content-* fields and the body, and the other fields get
	// their plain form; nil keeps all of them.
	Entity *Entity
}

// Entity is a MIME entity to put into a message.
type Entity struct {
	// Fields are its Content-* fields: no NUL, no lines over 998 octets.
	Fields []Field
	// Body is the content, in pieces that are joined.
	Body []Piece
	// Received says that the body was written elsewhere and may keep
	// lines over 998 octets.
	Received bool
	// Of is the message whose body may be Body: where it is, unchanged and described by
	// the same fields, it is not copied. Nil: it is of none.
	Of *Message
}

// Named is for Change.Remove: the fields of these names.
func Named(names ...string) func(Field) bool {
	return func(f Field) bool { return f.Is(names...) }
}

var (
	errBareCR   = errors.New("a bare CR or LF")
	errLongLine = errors.New("a line over 998 octets")
	errNotField = errors.New("not a field")
)

// Apply renders the message with the change. The result has CRLF line ends; LF
// line ends of m become CRLF. It refuses to write a bare CR or LF anywhere, and
// a line over 998 octets or octets over 127 in what is new; what was received
// keeps its long lines. Where what was received is at fault the error is
// ErrMalformed.
func (m *Message) Apply(c Change) (*Message, error) {
	d, err := m.Draft(c)
	if err != nil {
		return nil, err
	}
	of := m
	if c.Entity != nil {
		of = c.Entity.Of
	}
	if of != nil && sameEntity(of.fields, d.fields) && of.hasBody(d.body) {
		return of.withHeader(d.fields)
	}
	return d.Message()
}

// sameEntity reports whether two headers describe a body in the same words.
func sameEntity(old, now []Field) bool {
	describes := func(f Field) bool { return hasPrefixFold(f.Name, "Content-") }
	i := 0
	for _, f := range now {
		if !describes(f) {
			continue
		}
		for i < len(old) && !describes(old[i]) {
			i++
		}
		if i == len(old) || !bytes.Equal(old[i].Raw, f.Raw) {
			return false
		}
		i++
	}
	return !slices.ContainsFunc(old[i:], describes)
}

// hasBody reports whether the only piece is the body of m.
func (m *Message) hasBody(body []Piece) bool {
	if len(body) != 1 {
		return false
	}
	s, ok := body[0].(Scan)
	return ok && len(s.text) == len(m.Body()) && len(s.text) > 0 && &s.text[0] == &m.Body()[0]
}

// withHeader returns the message with other fields, none of which describes the body
// in another way.
func (m *Message) withHeader(fields []Field) (*Message, error) {
	head := WriteHeader(fields)
	h := readHeader(head, 0, func(int) bool { return false })
	if h.err != nil || h.body != len(head) {
		return nil, fault.New(fault.Malformed, "malformed message: "+cmp.Or(h.err, errNotField).Error(), nil)
	}
	root := *m.root
	root.Fields, root.head = h.fields, head
	return &Message{head: head, raw: m.raw, fields: h.fields, root: &root, canonical: true}, nil
}

// canonicalFields returns the header fields with CRLF line ends.
func (m *Message) canonicalFields() []Field {
	if m.canonical || LineEnds(m.Header()) == CRLF {
		return m.fields
	}
	fields := make([]Field, len(m.fields))
	for i, f := range m.fields {
		fields[i] = Field{Name: f.Name, Raw: Canonical(f.Raw)}
	}
	return fields
}

// Build makes a message of the gateway's own.
func Build(fields []Field, body []byte) (*Message, error) {
	for _, f := range fields {
		if err := checkNew(f); err != nil {
			return nil, err
		}
	}
	if err := checkLines(body, maxLine); err != nil {
		return nil, err
	}
	return render(fields, []Piece{Text(body)})
}

// header returns the fields of the changed message.
func (c *Change) header(old []Field) ([]Field, error) {
	fields := make([]Field, 0, len(old)+len(c.Prepend)+len(c.Append)+4)
	for _, f := range c.Prepend {
		if err := checkNew(f); err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	version := false
	for _, f := range old {
		if c.Remove != nil && c.Remove(f) {
			continue
		}
		if c.Entity != nil {
			if hasPrefixFold(f.Name, "Content-") || version && f.Is("MIME-Version") {
				continue
			}
			version = version || f.Is("MIME-Version")
			// What leads to the new entity has one reading.
			f = f.Plain()
		}
		if err := checkField(f); err != nil {
			return nil, fault.New(fault.Malformed, "malformed message: "+err.Error(), nil)
		}
		fields = append(fields, f)
	}
	for _, f := range c.Append {
		if err := checkNew(f); err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	if c.Entity == nil {
		return fields, nil
	}
	if !version {
		fields = append(fields, Field{Name: "MIME-Version", Raw: []byte("MIME-Version: 1.0\r\n")})
	}
	for _, f := range c.Entity.Fields {
		if err := checkEntityField(f); err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func (c *Change) body(m *Message) ([]Piece, error) {
	if c.Entity == nil {
		if m.canonical {
			return []Piece{Scan{CRLF: true, text: m.Body()}}, nil
		}
		kept := ScanLines(m.Body())
		if !kept.CRLF && LineEnds(m.Body()) == LF {
			kept = ScanLines(Canonical(m.Body()))
		}
		if err := kept.check(0); err != nil {
			return nil, fault.New(fault.Malformed, "malformed message: "+err.Error(), nil)
		}
		return []Piece{kept}, nil
	}
	limit := maxLine
	if c.Entity.Received {
		limit = 0
	}
	for _, piece := range c.Entity.Body {
		if err := piece.check(limit); err != nil {
			return nil, err
		}
	}
	return c.Entity.Body, nil
}

// render joins checked parts into a message, whose line ends are CRLF.
func render(fields []Field, body []Piece) (*Message, error) {
	size := 2
	for _, f := range fields {
		size += len(f.Raw) + 2
	}
	for _, piece := range body {
		size += piece.size()
	}
	raw := make([]byte, 0, size)
	for _, f := range fields {
		raw = append(raw, f.Raw...)
		if !bytes.HasSuffix(f.Raw, []byte("\n")) {
			raw = append(raw, '\r', '\n')
		}
	}
	raw = append(raw, '\r', '\n')
	for _, piece := range body {
		var err error
		if raw, err = piece.appendTo(raw); err != nil {
			return nil, err
		}
	}
	m, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	m.canonical = true
	return m, nil
}

// checkField refuses a field that is not exactly one field.
func checkField(f Field) error {
	raw := f.Raw
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		raw = append(bytes.Clone(raw), '\r', '\n')
	}
	var room [1]Field
	h := header{fields: room[:0]}
	h.read(raw, 0, func(int) bool { return false })
	if h.err != nil || len(h.fields) != 1 || h.body != len(raw) || h.fields[0].Name != f.Name {
		return fmt.Errorf("field %q: %w", f.Name, errNotField)
	}
	if err := checkLines(raw, 0); err != nil {
		return fmt.Errorf("field %s: %w", f.Name, err)
	}
	return nil
}

// checkEntityField refuses also what SMTP does not carry, and the milter protocol, whose
// texts end with a NUL.
func checkEntityField(f Field) error {
	if err := checkField(f); err != nil {
		return err
	}
	if bytes.IndexByte(f.Raw, 0) >= 0 {
		return fault.New(fault.Malformed, fmt.Sprintf("malformed message: a NUL in field %s", f.Name), nil)
	}
	if err := checkLines(f.Raw, maxLine); err != nil {
		return fault.New(fault.Malformed, fmt.Sprintf("malformed message: field %s: %v", f.Name, err), nil)
	}
	return nil
}

// checkNew refuses also what a field of our own must not have.
func checkNew(f Field) error {
	if err := checkField(f); err != nil {
		return err
	}
	if err := checkLines(f.Raw, maxLine); err != nil {
		return fmt.Errorf("field %s: %w", f.Name, err)
	}
	return nil
}

// checkLines refuses a bare CR or LF and, unless limit is 0, lines longer than
// limit without their line end.
func checkLines(data []byte, limit int) error { return ScanLines(data).check(limit) }
