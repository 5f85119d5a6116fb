// Package message is an immutable view of the exact bytes of a mail message
// (RFC 5322) with a MIME tree (RFC 2045) of offsets into them. A change is a
// list of edits that is rendered into a new message; nothing is edited in place,
// so what was hashed stays what was received.
package message

import (
	"github.com/smimerelay/smimerelay/internal/fault"
)

// Limits of what Parse accepts. They bound time and memory on hostile input; no
// mail program comes near them.
const (
	maxDepth  = 20
	maxParts  = 1000
	maxFields = 10_000  // in all headers together
	maxHeader = 4 << 20 // octets of one header
	// RFC 2046 section 5.1.1 allows 70 octets.
	maxBoundary = 250
)

// Message is an immutable view of the bytes received. All line ends are CRLF
// or, for input from files, all LF; LineEnd tells.
type Message struct {
	// head is the header with the empty line that ends it: the start of raw or, in a
	// message that is another one with other fields, memory of its own. The body is
	// the same then, and the same memory: to copy it would be most of the work.
	head []byte
	// raw is what the parts are offsets into.
	raw    []byte
	fields []Field
	root   *Part
	// canonical says that the line ends are known to be CRLF.
	canonical bool
}

// ErrMalformed is the error of a message that is not well-formed. Errors wrap it and
// say in one line what is wrong, without anything private.
var ErrMalformed error = fault.Malformed

// Parse reads raw, which it keeps and which must not be changed afterwards. It
// refuses a header it cannot split into fields; everything else parses. Where
// the MIME structure is over the limits (depth 20, 1000 parts) the tree is the
// root alone, and that is Ambiguous. Errors are ErrMalformed.
func Parse(raw []byte) (*Message, error) { return parseSource(raw, nil) }

// parseSource is Parse for what raw has of source.
func parseSource(raw []byte, source *source) (*Message, error) {
	s := scanner{raw: raw, source: source}
	root, err := s.scan()
	if err != nil {
		return nil, fault.New(fault.Malformed, "malformed message: "+err.Error(), nil)
	}
	return &Message{head: raw[:root.Body], raw: raw, fields: root.Fields, root: root}, nil
}

// Bytes returns the message as received. It must not be changed. Where only the header
// was changed header and body are joined for it: Header and Body are cheaper.
func (m *Message) Bytes() []byte { return m.root.Bytes() }

// Size returns the number of octets in Bytes.
func (m *Message) Size() int { return len(m.head) + len(m.Body()) }

// Between returns the octets between two offsets of parts, neither of which is in the
// header of the root.
func (m *Message) Between(from, to int) []byte { return m.raw[from:to] }

// Fields returns the header fields in order.
func (m *Message) Fields() []Field { return m.fields }

// Root returns the root of the MIME tree.
func (m *Message) Root() *Part { return m.root }

// Header returns the bytes of the header with the empty line that ends it.
func (m *Message) Header() []byte { return m.head }

// Body returns the bytes after the empty line that ends the header.
func (m *Message) Body() []byte { return m.raw[m.root.Body:] }

// Get returns the unfolded value of the first field of that name, "" if there
// is none.
func (m *Message) Get(name string) string { return get(m.fields, name) }

// All returns the unfolded values of the fields of that name, in order.
func (m *Message) All(name string) []string { return all(m.fields, name) }

// Has reports whether there is a field of that name.
func (m *Message) Has(name string) bool { return count(m.fields, name) > 0 }

// count returns how many fields of that name there are.
func count(fields []Field, name string) (n int) {
	for _, f := range fields {
		if f.Is(name) {
			n++
		}
	}
	return n
}

func get(fields []Field, name string) string {
	for _, f := range fields {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

func all(fields []Field, name string) []string {
	var values []string
	for _, f := range fields {
		if f.Is(name) {
			values = append(values, f.Value())
		}
	}
	return values
}
