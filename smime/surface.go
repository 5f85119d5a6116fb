package smime

import (
	"bytes"

	"github.com/smimerelay/smimerelay/internal/message"
)

// bringUp returns m with the decrypted entity in place of its body. The fields
// of the entity that are not Content-* stay behind: they are not the message's
// (RFC 8551 section 3.1). sealed says that a signature in it must stay whole.
func bringUp(m, inner *message.Message, sealed bool) (*message.Message, error) {
	inner, err := canonical(inner)
	if err != nil {
		return nil, err
	}
	content := plainEntity(inner)
	if !sealed && !passes(inner.Body()) {
		if safe, err := safeEntity(inner); err == nil {
			content = safe
		}
	}
	entity, err := message.Parse(bytes.Join(content, nil))
	if err != nil {
		return nil, err
	}
	return m.Apply(message.Change{Entity: &message.Entity{
		Fields:   contentFields(entity),
		Body:     []message.Piece{message.Text(entity.Body())},
		Received: true,
	}})
}

// passes reports whether body has only lines that SMTP can carry (RFC 5321
// section 4.5.3.1.6).
func passes(body []byte) bool {
	if message.LineEnds(body) != message.CRLF {
		return false
	}
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if len(line) > maxFieldLine {
			return false
		}
	}
	return true
}
