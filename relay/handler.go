package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Handler decides on messages. *Gateway is the one implementation; adapters
// know this interface only.
type Handler interface {
	// Recipient is asked when a recipient is named. Nil accepts it for now; an
	// error, for ReplyFor, refuses it while the client waits. env has the
	// recipients accepted so far.
	Recipient(ctx context.Context, env *Envelope, r Recipient) error
	// Process does the whole work on a message. An error, for ReplyFor, is the
	// answer for all recipients.
	Process(ctx context.Context, env *Envelope, msg *message.Message) (*Outcome, error)
	// Report makes the delivery status notification that tells the sender of d of
	// an event. ok is false when nobody wants one (null sender, NOTIFY).
	Report(d Delivery, e Event) (report Delivery, ok bool, err error)
}

// Outcome is what became of a message. Every recipient of the envelope is in
// exactly one Delivery, or in Refused, or in Stripped, or in Held; or it is a
// group in Expanded, and then that holds for each of its members.
type Outcome struct {
	// Expanded are the recipients that became others.
	Expanded []Expansion
	// Deliveries are the copies to hand on.
	Deliveries []Delivery
	// Refused recipients get an error of their own: an LMTP reply, or a report.
	Refused []Refusal
	// Stripped recipients were removed and are told of in Notices.
	Stripped []address.Address
	// Returned recipients are addresses of the gateway's own; what their senders
	// are told of it is in Notices.
	Returned []address.Address
	// Held is the message for those who wait for a certificate; nil where
	// nobody does. Whoever answers for the message stores it first.
	Held *Hold
	// Notices are messages of the gateway's own to the sender.
	Notices []Delivery
	// ByNextHop says that the copies go to the next hop, also where an MTA could make
	// its own message the only one: mail to some of the recipients leaves by the next
	// hop alone.
	ByNextHop bool
}

// Expansion is a recipient of the envelope that is a group, with the members who
// are in the outcome in its place.
type Expansion struct {
	Group   address.Address
	Members []address.Address
	// Notes are what an administrator should know: members without an address.
	Notes []string
}

// Refusal is a recipient that does not get the message, with an error that
// ReplyFor understands.
type Refusal struct {
	Recipient Recipient
	Err       error
}
