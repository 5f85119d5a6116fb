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
	// Number is by which a report finds the question: it is in the envelope sender, under which it
	// leaves. "" is for a question with the null sender, about which no server reports.
	Number string `json:"number,omitempty"`
}

// Unreached is what a server reports of a question: that it could not be delivered. Who was asked
// is not in it, as anyone can write what stands in a report.
type Unreached struct {
	// Number is that of Asks.
	Number string
	// Failed are those of whom the report says it.
	Failed []Unasked
}

// Unasked is a recipient of a question as a report names it.
type Unasked struct {
	// Original and Final are those of RFC 3464 sections 2.3.1 and 2.3.2; Null where the report
	// does not have them.
	Original, Final address.Address
	// Reason is what the server said, on one line.
	Reason string
}
