package relay

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Delivery is a message with the envelope it leaves under.
type Delivery struct {
	Sender     address.Address
	Recipients []Recipient
	Params     MailParams
	Message    *message.Message
	// Stored is the message where Message is nil: only for those who hand on what waited in
	// a queue.
	Stored *Stored
	Origin Origin
	// Treatment is what was done to it, for those who count.
	Treatment Treatment
	// Listener is by which the message came in, for a route of its own; "" is none.
	Listener string
	// Direction is "outbound" or "inbound"; "" for the gateway's own mail. The rules that
	// decided are in the recipients.
	Direction string
	// Secret is nil but for messages that were encrypted when they came in: all
	// that may be reported of them.
	Secret *Secret
	// Asks is nil but for questions to recipients.
	Asks *Asks
}

// Queue takes responsibility for messages.
type Queue interface {
	// Put stores all of a batch or nothing. It returns nil only when it is on stable
	// storage.
	Put(ctx context.Context, b Batch) error
}

// Deliverer hands a message to the next hop now.
type Deliverer interface {
	// Deliver returns one error a recipient, in their order; nil where the next
	// hop took responsibility. relayed says of whom it will never report that they
	// got the message, because it does not know NOTIFY; nil is of no recipient.
	Deliver(ctx context.Context, d Delivery) (results []error, relayed []bool)
}

// Treatment is what was done to a copy of a message: for outbound mail how it is
// protected, for inbound mail what was found.
type Treatment struct {
	Protection string // "signed", "encrypted", "signed, encrypted" or "clear"
	Result     string // of the signature, in the words of RFC 8601
	Encryption string // "decrypted", "kept" (it could not be, or is not wanted) or "none"
	Cipher     string // the content cipher that encrypts, or encrypted, it; "" for none
	// HiddenSubject says that what it is about is not outside of the encryption, or was not
	// (RFC 9788).
	HiddenSubject bool
}

// Secret marks a delivery of a message that was encrypted when it came in, whether
// or not it could be decrypted, and is all that its sender may learn: what was
// known before anything was decrypted. Anyone can send a captured ciphertext again
// under a sender of their own; a report that quotes the message, or that depends on
// what was found in it, would decrypt it for them.
type Secret struct {
	Sender     address.Address `json:"sender"`
	EnvelopeID string          `json:"envelope_id,omitempty"`
	// MessageID and Date are the outer ones, as received.
	MessageID string      `json:"message_id,omitempty"`
	Date      string      `json:"date,omitempty"`
	Arrived   time.Time   `json:"arrived"`
	To        []Recipient `json:"to"`
	// Silent says that the sender learns nothing at all: what was decrypted decided
	// whether the message is delivered or in quarantine.
	Silent bool `json:"silent,omitempty"`
}

// Silent reports whether nothing of the delivery may reach the outside, not even that it
// failed. It is made after the client has its answer.
func (d *Delivery) Silent() bool { return d.Secret != nil && d.Secret.Silent }

// Tell is the error that the client that handed the message over gets for one of the
// delivery. The next hop has seen what was decrypted: its own words, which may quote
// the text, and its code, which may depend on it, are for the log.
func (d *Delivery) Tell(err error) error {
	switch {
	case err == nil || d.Secret == nil:
		return err
	case ReplyFor(err).Code/100 == 5:
		return fault.New(fault.Refused, "the message could not be delivered", err)
	}
	return fault.New(fault.NextHop, "the message could not be delivered yet", err)
}
