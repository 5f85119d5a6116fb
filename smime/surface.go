package smime

import "github.com/smimerelay/smimerelay/smime/message"

// bringUp returns m with the decrypted entity in place of its body, and with the
// fields that the payload protects. All other fields of the entity that are not
// Content-* stay behind: they are not the message's (RFC 8551 section 3.1).
func bringUp(m, inner *message.Message, payload *message.Part) (*message.Message, error) {
	if err := unambiguous(inner); err != nil {
		return nil, err
	}
	change := message.Change{}
	if payload != nil {
		change = restored(m, payload)
		inner = withoutDisplay(inner, payload, change)
	}
	change.Entity = carried(inner)
	return m.Apply(change)
}
