package smime

import "github.com/smimerelay/smimerelay/smime/message"

// wrapped returns a message that has all of m in it, as message/rfc822: what is signed is
// then the header too (RFC 8551 section 3.1). Fields about the way of m, and those that no
// recipient may see, are left out inside.
func wrapped(m *message.Message) (*message.Message, error) {
	m, err := canonical(m)
	if err != nil {
		return nil, err
	}
	var inner []message.Field
	for _, f := range m.Fields() {
		if !f.Is(handling...) && !f.NamesHidden() {
			inner = append(inner, f)
		}
	}
	return m.Apply(message.Change{Entity: &message.Entity{
		Fields:   []message.Field{message.RawField("Content-Type", "message/rfc822")},
		Body:     []message.Piece{message.ScanLines(message.WriteHeader(inner)), message.ScanLines(m.Body())},
		Received: true,
	}})
}
