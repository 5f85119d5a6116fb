package relay

import "slices"

// Capabilities are what a listener can do with an answer.
type Capabilities struct {
	// EachRecipient says that the protocol has an answer for each recipient after
	// the content (LMTP, RFC 2033 section 4.2); without it there is one for all.
	EachRecipient bool
	// Edit reports whether the MTA's own message can become a delivery (a milter);
	// nil where the listener takes messages over.
	Edit func(Delivery) bool
}

// Answer is what a listener has to do about a message, and to say. It is done in
// the order of the fields.
type Answer struct {
	// Store goes into the queue. Its error is the answer to recipients who are
	// Queued or Held, and, where there is one answer for all, to all of them.
	Store Batch
	// StoreFirst says that nothing may be delivered if Store fails.
	StoreFirst bool
	// Notices are handed to the next hop while the client waits, where the listener
	// answers each recipient and nothing had to be stored. Their error, or that of
	// Store, is the answer to recipients who are Stripped or Returned: without a
	// word to the sender they would be lost.
	Notices []Delivery
	// Deliver are the copies for recipients who are Delivered: they are handed to
	// the next hop while the client waits, and what it says is the answer.
	Deliver []Delivery
	// Edit is what the MTA's own message becomes; nil where it is not to be edited.
	Edit *Delivery
	// Recipients say what becomes of the recipients of the envelope, in its order.
	Recipients []Disposition
}

// Copies are the deliveries of the message itself, by whatever way they leave.
func (a *Answer) Copies() []Delivery {
	all := append(a.Deliver[:len(a.Deliver):len(a.Deliver)], a.Store.Copies...)
	if a.Edit != nil {
		all = append(all, *a.Edit)
	}
	return all
}

// Batch is what is stored in one transaction: all of it, or nothing.
type Batch struct {
	Copies  []Delivery // of the message
	Notices []Delivery // messages of the gateway's own: notices and reports
	Held    *Hold      // the message for those who wait; nil where no one does
	// Quarantined is the message for those from whom an inbound rule keeps it; nil
	// where it keeps it from no one.
	Quarantined *Hold
	// Questions are to recipients of Held.
	Questions []Question
	// Unreached are questions that could not be delivered: what waits for their answer is given up.
	Unreached []Unreached
}

// Holds are what a batch holds: none, Held, Quarantined, or both.
func (b Batch) Holds() []*Hold {
	return slices.DeleteFunc([]*Hold{b.Held, b.Quarantined}, func(h *Hold) bool { return h == nil })
}

// ID is the identifier of the message that a batch came of; "" where nothing in it says so.
func (b Batch) ID() string {
	for _, d := range slices.Concat(b.Copies, b.Notices) {
		if d.Origin.ID != "" {
			return d.Origin.ID
		}
	}
	for _, h := range b.Holds() {
		return h.Envelope.ID
	}
	return ""
}

// Empty reports whether there is nothing to store.
func (b Batch) Empty() bool {
	return len(b.Copies)+len(b.Notices)+len(b.Holds())+len(b.Questions)+len(b.Unreached) == 0
}

// Disposition is what becomes of a recipient.
type Disposition struct {
	Kind DispositionKind
	Err  error // of a recipient who is Refused
}

// DispositionKind is what becomes of a recipient, in one word, for those who count.
type DispositionKind string

// A recipient who is Queued, Delivered or Edited gets the message by the queue, by
// the next hop while the client waits, or by the MTA whose message is edited.
const (
	Queued    DispositionKind = "queued"
	Delivered DispositionKind = "delivered"
	Edited    DispositionKind = "edited"
	Refused   DispositionKind = "refused"
	Held      DispositionKind = "held" // waits for a certificate
	// Quarantined: an inbound rule keeps the message from the recipient.
	Quarantined DispositionKind = "quarantined"
	Stripped    DispositionKind = "stripped" // was removed, and the sender is notified
	Returned    DispositionKind = "returned" // is an address of the gateway's own, for reports
)
