package smime

import "github.com/smimerelay/smimerelay/internal/message"

// bringUp returns m with the decrypted entity in place of its body, and with the
// fields that the payload protects. All other fields of the entity that are not
// Content-* stay behind: they are not the message's (RFC 8551 section 3.1).
// sealed says that a signature in it must stay whole.
func bringUp(m, inner *message.Message, payload *message.Part, sealed bool) (*message.Message, error) {
	if err := unambiguous(inner); err != nil {
		return nil, err
	}
	body := message.ScanLines(inner.Body())
	if !body.CRLF {
		var err error
		if inner, err = message.Parse(message.Canonical(inner.Bytes())); err != nil {
			return nil, err
		}
		body = message.ScanLines(inner.Body())
	}
	entity := &message.Entity{Fields: contentFields(inner), Body: []message.Piece{body}, Received: true}
	if !sealed && !passes(body) {
		if safe, err := safeEntity(inner, HeadersOpen); err == nil {
			entity.Fields, entity.Body = safe.fields, safe.body
		}
	}
	change := message.Change{}
	if payload != nil {
		change = restored(m, payload)
	}
	change.Entity = entity
	return m.Apply(change)
}

// passes reports whether SMTP can carry the lines (RFC 5321 section
// 4.5.3.1.6).
func passes(s message.Scan) bool { return s.CRLF && s.Longest <= maxFieldLine }
