// Package history keeps one row for each recipient of each message: what was decided on
// it and why, what became of it, and the facts that the decision had. It is in an SQLite
// file or in the database that the nodes share. Nothing of the content of a message is in
// it, no subject and no other field of the header than Message-ID.
//
// The rows are written beside the mail path (Writer): mail waits for none of them, and
// without the history it is processed all the same. One thing is looked up for mail that is
// encrypted: whether the subject of what it answers was hidden (Writer.HidSubject).
package history

import (
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Row is what is known of one recipient of a message.
type Row struct {
	// Time is when the decision was made.
	Time time.Time `json:"time"`
	// ID is the gateway's identifier of the message, as in the log. QueueID is that of
	// the MTA that handed it over, MessageID the Message-ID without angle brackets; ""
	// where there is none.
	ID        string `json:"id"`
	QueueID   string `json:"queue_id,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	// ProtectedID is the Message-ID inside of the encryption, where it is another one.
	ProtectedID string `json:"protected_id,omitempty"`
	// Listener is the name of the listener, Client the address of the client, Helo the
	// name it gave, User who logged in; TLS says that the client used it.
	Listener string `json:"listener"`
	Client   string `json:"client,omitempty"`
	Helo     string `json:"helo,omitempty"`
	User     string `json:"user,omitempty"`
	TLS      bool   `json:"tls,omitempty"`
	// Direction is "outbound" or "inbound".
	Direction string          `json:"direction"`
	Sender    address.Address `json:"sender"` // may be address.Null
	Recipient address.Address `json:"recipient"`
	// Size is that of the message as it came, in octets.
	Size int64 `json:"size,omitempty"`
	// Rule is the name of the rule that decided, Line where it is in the configuration;
	// "" and 0 where none did.
	Rule string `json:"rule,omitempty"`
	Line int    `json:"line,omitempty"`
	// Decided is what the rules had done: "signed, encrypted", "signed", "encrypted",
	// "passed", "refused", AtRCPT, "deferred", "stripped", "held", or for inbound mail
	// "delivered", "tagged", "quarantined"; "reported" in report mode. It is "" where no rule
	// was asked.
	Decided string `json:"decided,omitempty"`
	// Steps are what the plan had done with the copy for the recipient, in their order.
	Steps []string `json:"steps,omitempty"`
	// Outcome is what has become of the message for the recipient so far, Reason why.
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	// Cause is the kind of the reason, a word of a closed list, for those who count: what
	// was missing ("certificate", "identity"), or the kind of a failure.
	Cause string `json:"cause,omitempty"`
	// Protection is how the copy left: "signed", "encrypted", "signed, encrypted" or
	// "clear"; for inbound mail Result and Encryption are what was found, as in
	// relay.Treatment.
	Protection string `json:"protection,omitempty"`
	Result     string `json:"result,omitempty"`
	Encryption string `json:"encryption,omitempty"`
	// Certificates are the SHA-256 fingerprints of those that the copy is encrypted to, or
	// of those that signed an inbound message, in hexadecimal. Cipher is the content cipher.
	Certificates []string `json:"certificates,omitempty"`
	Cipher       string   `json:"cipher,omitempty"`
	// HiddenSubject is as in relay.Treatment.
	HiddenSubject bool `json:"hidden_subject,omitempty"`
	// Stages say how long the parts of the work on the message took.
	Stages []Stage `json:"stages,omitempty"`
	// Events are what happened after the decision, oldest first.
	Events []Event `json:"events,omitempty"`
	// EventsOmitted is how many events are not kept, of those between the first and the last.
	EventsOmitted int `json:"events_omitted,omitempty"`
	// Facts are what the decision had to go by; nil where there was none, and in what
	// Search returns.
	Facts *enforce.Facts `json:"-"`
}

// AtRCPT is Decided of a recipient who was refused before the message came.
const AtRCPT = "refused at RCPT"

// Stage is a part of the work on a message.
type Stage struct {
	Name string        `json:"name"`
	Took time.Duration `json:"nanoseconds"`
}

// Outcome is what has become of a message for a recipient.
type Outcome string

// The outcomes. Those up to Quarantined may still change.
const (
	Queued      Outcome = "queued"      // is in the queue
	Held        Outcome = "held"        // waits for a certificate
	Deferred    Outcome = "deferred"    // the client is to try again
	Quarantined Outcome = "quarantined" // an inbound rule keeps the message
	Delivered   Outcome = "delivered"   // the next hop took it
	Edited      Outcome = "edited"      // the MTA has it, as its own message, and delivers it
	Refused     Outcome = "refused"     // for good
	Stripped    Outcome = "stripped"    // was removed, and the sender notified
	Returned    Outcome = "returned"    // was for the gateway itself, such as a report
	Failed      Outcome = "failed"      // given up after the message was accepted
	Removed     Outcome = "removed"     // by an administrator, or its time in quarantine is over
)

// Outcomes are all, in the order in which a table shows them.
var Outcomes = []Outcome{Delivered, Edited, Queued, Held, Quarantined, Deferred, Refused, Stripped, Returned, Failed, Removed}

// Event is something that happened to a message for a recipient.
type Event struct {
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	// Attempt is its number, from 1, for Attempt; 0 in a Change has it counted.
	Attempt int `json:"attempt,omitempty"`
	// Host is the next hop, Reply what it replied, code first; "" where it is not known.
	Host  string `json:"host,omitempty"`
	Reply string `json:"reply,omitempty"`
	// Reason is why, By who ordered it, for Released and the like.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// EventKind is what an Event is.
type EventKind string

// The kinds of events.
const (
	Answered EventKind = "answered" // the client got the reply
	Attempt  EventKind = "attempt"  // to deliver to the next hop
	Released EventKind = "released" // a held message was let go, by whom and why
	Ended    EventKind = "ended"    // a held message was given up or removed
)

// The most events that a row keeps: the first FirstEvents, and the last of them.
const (
	FirstEvents = 10
	lastEvents  = 20
)

// add notes an event, in the order of time, and forgets what is too much.
func (r *Row) add(e Event) {
	at := len(r.Events)
	for at > 0 && r.Events[at-1].Time.After(e.Time) {
		at--
	}
	r.Events = slices.Insert(r.Events, at, e)
	if len(r.Events) > FirstEvents+lastEvents {
		r.Events = append(r.Events[:FirstEvents], r.Events[FirstEvents+1:]...)
		r.EventsOmitted++
	}
}

// Change is what happened to a recipient of a message after its row was made.
type Change struct {
	ID        string
	Recipient address.Address
	// Event is what happened; one without a Kind is none.
	Event Event
	// Outcome is what it came to; "" changes nothing. Cause goes with it.
	Outcome Outcome
	Cause   string
}

// attempts is how many there were.
func (r *Row) attempts() int {
	for i := len(r.Events) - 1; i >= 0; i-- {
		if r.Events[i].Kind == Attempt {
			return r.Events[i].Attempt
		}
	}
	return 0
}

// apply makes a change to a row.
func (r *Row) apply(c Change) {
	if c.Event.Kind == Attempt && c.Event.Attempt == 0 {
		c.Event.Attempt = r.attempts() + 1
	}
	if c.Event.Kind != "" {
		r.add(c.Event)
	}
	if c.Outcome != "" {
		r.Outcome, r.Cause = c.Outcome, c.Cause
	}
}
