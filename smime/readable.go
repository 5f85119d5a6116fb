package smime

import (
	"github.com/smimerelay/smimerelay/smime/message"
)

// Readable returns the message for readers without S/MIME: what is encrypted,
// compressed or signed in one piece with its signature is ordinary MIME, byte for byte
// what the signature covers where SMTP carries that. A clear signature stays unless
// strip says otherwise, or SMTP cannot carry what it covers. A message whose layers could not
// all be opened is o.Message but for parts of it that are signed in one piece or
// compressed, as a mailing list leaves them beside its footer: they are opened, too. An
// error says why what is inside cannot be delivered.
func (o *Opened) Readable(strip bool) (*message.Message, error) {
	m, err := o.readable(strip)
	if err != nil {
		return nil, err
	}
	return withOpenParts(m, o.reserve)
}

func (o *Opened) readable(strip bool) (*message.Message, error) {
	if o.payload == nil || o.unwrapped == nil && !strip {
		return o.Message, nil
	}
	inner := o.unwrapped
	if strip {
		var err error
		if inner, err = parseEntity(o.payload.Bytes(), ""); err != nil {
			return nil, err
		}
	}
	if err := unambiguous(inner); err != nil {
		return nil, err
	}
	change := message.Change{}
	switch {
	case len(o.Report.Signers) > 0 && protectedHeader(o.payload):
		// The readers do not see what was signed otherwise (RFC 9788 section 4.5).
		change = surfaced(o.given, o.payload)
	case o.Decrypted:
		change = restored(o.given, o.payload)
	}
	if o.Decrypted {
		inner = withoutDisplay(inner, o.payload, change)
	}
	change.Entity = readableEntity(inner)
	return o.given.Apply(change)
}

// readableEntity is carried for readers without S/MIME: a clear signature over what
// SMTP cannot carry is removed, and does not become an opaque one.
func readableEntity(m *message.Message) *message.Entity {
	c := carrier{message: m, readable: true}
	fields := c.content(m.Root(), canonicalFields(contentFields(m)))
	return &message.Entity{Fields: fields, Body: c.pieces, Received: true}
}

// unsigned adds what a multipart/signed signs in its place.
func (c *carrier) unsigned(p *message.Part, fields []message.Field) []message.Field {
	content := p.Children[0]
	var own []message.Field
	for _, f := range content.Fields {
		if f.Structural() && !f.Is("MIME-Version") {
			own = append(own, f)
		}
	}
	return append(withoutType(fields), c.content(content, canonicalFields(own))...)
}

// withoutType returns the fields of a part that do not depend on what its content is.
func withoutType(fields []message.Field) []message.Field {
	kept := make([]message.Field, 0, len(fields)+3)
	for _, f := range fields {
		if !f.Is("Content-Type", "Content-Transfer-Encoding", "Content-Disposition") {
			kept = append(kept, f)
		}
	}
	return kept
}
