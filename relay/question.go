package relay

import (
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Question asks a recipient who is held for a certificate. It is stored with the hold, and
// only if the recipient was not asked a while ago.
type Question struct {
	Delivery // to one recipient, with Asks
	// Again is how long the recipient is not asked again.
	Again time.Duration
}

// Asks marks a delivery as a question.
type Asks struct {
	// MessageID is that of the question, which an answer names.
	MessageID string `json:"message_id"`
	// Sender is whose message waits for the answer, and Until is when it is given up.
	Sender address.Address `json:"sender"`
	Until  time.Time       `json:"until"`
	// Held is the recipient of that message, who says by NOTIFY and ORCPT what the sender is to
	// read of a failure, and EnvID is the message's (RFC 3461 section 4).
	Held  Recipient `json:"held"`
	EnvID string    `json:"env_id,omitempty"`
}
