package smime

import (
	"fmt"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// SevenBit returns m with its 8-bit parts encoded, for a hop that does not offer
// 8BITMIME (RFC 6152 section 3). What is signed or encrypted inside stays byte
// for byte; a message that has 8-bit octets there, or between its parts, is an
// error, message.ErrMalformed. The header of m is not touched.
func SevenBit(m *message.Message) (*message.Message, error) {
	e, err := safeEntity(m, HeadersOpen)
	if err != nil {
		return nil, fault.New(fault.Malformed, "8-bit content that must not be re-encoded", err)
	}
	converted, err := m.Apply(message.Change{Entity: &message.Entity{Fields: e.fields, Body: e.body, Received: true}})
	if err != nil {
		return nil, fmt.Errorf("encode 8-bit content: %w", err)
	}
	return converted, nil
}
