package relay

import (
	"time"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Hold is a message that is kept for recipients who have no certificate yet, or in
// quarantine: as it came, with everything that the decision on it needs to be made
// again.
type Hold struct {
	// Envelope is that of the message; its recipients are those who wait.
	Envelope Envelope
	Message  *message.Message
	// Reasons say why, in the order of the recipients.
	Reasons []string
	// Unasked says of the recipients, in their order, who is to be asked for a certificate but
	// could not be yet; nil is no one.
	Unasked []bool
	// Asked says of the recipients, in their order, who was asked for a certificate, by this message
	// or by an earlier one: an answer is waited for. Nil is no one.
	Asked []bool
	// Unreached says of those who were asked why their question could not be delivered: no answer
	// will come. Nil, and "" in it, is of no one.
	Unreached []string
	// Since is when the message was put aside, Until when it is given up.
	Since, Until time.Time
	// Quarantined says that an inbound rule put the message aside: only an
	// administrator releases it.
	Quarantined bool
	// Encrypted says that the message was encrypted when it came in: Reasons are then
	// not for the sender, for they may depend on what decryption found.
	Encrypted bool
}

// IsUnasked reports whether the recipient at an index is still to be asked.
func (h *Hold) IsUnasked(i int) bool { return i < len(h.Unasked) && h.Unasked[i] }

// IsAsked reports whether the recipient at an index was asked for a certificate.
func (h *Hold) IsAsked(i int) bool { return i < len(h.Asked) && h.Asked[i] }

// WhyUnreached says why the question to the recipient at an index could not be delivered; "" if
// nothing is known of that.
func (h *Hold) WhyUnreached(i int) string {
	if i >= len(h.Unreached) {
		return ""
	}
	return h.Unreached[i]
}

// Order is what an administrator wants done with a message that is held.
type Order struct {
	Verb OrderVerb `json:"verb"`
	// Reason is why, in the administrator's words, and By who it is: for the log
	// and, with GiveBack, for the sender.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// OrderVerb is one of the orders.
type OrderVerb string

const (
	// LookAgain asks the rules again, as happens from time to time without an
	// order.
	LookAgain OrderVerb = ""
	// Release asks the rules again about a message that waits for a certificate, and
	// delivers one that is in quarantine.
	Release OrderVerb = "release"
	// ReleasePlain sends the message without the encryption that a rule demands.
	ReleasePlain OrderVerb = "plain"
	// GiveBack refuses the message: its sender gets a report.
	GiveBack OrderVerb = "give-back"
)
