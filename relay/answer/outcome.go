// Package answer makes of what was decided on a message what a listener has to do and
// to say. It is the only place that knows what a protocol's single answer, or one for
// each recipient, means for recipients who are refused, removed, held, or members of a
// group.
package answer

import (
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Outcome is what was decided on a message. Every recipient of the envelope is in
// exactly one Delivery, or in Refused, or in Stripped, or in Held or Quarantined; or it is a
// group in Expanded, and then that holds for each of its members.
type Outcome struct {
	// Expanded are the recipients that became others.
	Expanded []Expansion
	// Deliveries are the copies to hand on.
	Deliveries []relay.Delivery
	// Refused recipients get an error of their own: an LMTP reply, or a report.
	Refused []relay.RecipientStatus
	// Stripped recipients were removed; Notices tell the sender of them.
	Stripped []address.Address
	// Returned recipients are addresses of the gateway's own; Notices are what their
	// senders are notified.
	Returned []address.Address
	// Held is the message for those who wait for a certificate; nil where no one
	// does.
	Held *relay.Hold
	// Questions are to those of them who are asked for one.
	Questions []relay.Question
	// Unreached are questions of which the message reports that they could not be delivered, to
	// recipients that are Returned.
	Unreached []relay.Unreached
	// Quarantined is the message for those from whom an inbound rule keeps it; nil
	// where it keeps it from no one.
	Quarantined *relay.Hold
	// Notices are messages of the gateway's own to the sender.
	Notices []relay.Delivery
	// Kept are copies for the house that must be on stable storage before any other
	// leaves.
	Kept []relay.Delivery
	// ByNextHop says that the copies go to the next hop, also where an MTA could make
	// its own message the only one: mail to some of the recipients leaves by the next
	// hop alone.
	ByNextHop bool
}

// holds are what is kept of the message.
func (o *Outcome) holds() []*relay.Hold {
	return relay.Batch{Held: o.Held, Quarantined: o.Quarantined}.Holds()
}

// Expansion is a recipient of the envelope that is a group, with the members who
// are in the outcome in its place.
type Expansion struct {
	Group   address.Address
	Members []address.Address
	// Notes are what an administrator should know: members without an address.
	Notes []string
}
