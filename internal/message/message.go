// Package message is an immutable view of the exact bytes of a mail message
// (RFC 5322) with a MIME tree (RFC 2045) of offsets into them. A change is a
// list of edits that is rendered into a new message; nothing is edited in place,
// so what was hashed stays what was received.
package message

// Message is an immutable view of the bytes received. All line ends are CRLF
// or, for input from files, all LF; LineEnd tells.
type Message struct {
	raw    []byte
	fields []Field
	root   *Part
}

// Field is one header field with its folds.
type Field struct {
	// Name is the field name as received.
	Name string
	// Raw is the whole field: name, colon, value, folds and the final line end.
	Raw []byte
}

// Part is a node of the MIME tree: offsets into the bytes of its message.
type Part struct {
	// Fields are the part's own header fields. For the root these are the
	// message's.
	Fields []Field
	// MediaType is type "/" subtype, lower case; RFC 2045 section 5.2 defaults
	// are filled in.
	MediaType string
	// Params are the Content-Type parameters, names in lower case.
	Params map[string]string
	// Encoding is the Content-Transfer-Encoding, lower case, "7bit" if absent.
	Encoding string
	// Start, Body and End bound the part: header from Start, content from Body
	// up to End, which leaves out the line end that belongs to the delimiter
	// (RFC 2046 section 5.1.1).
	Start, Body, End int
	// Children are the parts of a multipart, or the one message of a
	// message/rfc822.
	Children []*Part
}

// Parse reads raw, which it keeps and which nobody may change afterwards. It
// refuses a header it cannot split into fields and a MIME structure over the
// limits (depth 20, 1000 parts); everything else in the body parses.
func Parse(raw []byte) (*Message, error) { return &Message{raw: raw}, nil }

// Bytes returns the message as received. It must not be changed.
func (m *Message) Bytes() []byte { return m.raw }

// Fields returns the header fields in order.
func (m *Message) Fields() []Field { return m.fields }

// Root returns the root of the MIME tree.
func (m *Message) Root() *Part { return m.root }
