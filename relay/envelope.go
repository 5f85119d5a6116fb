// Package relay is the pipeline: it carries a message from a wire adapter
// through lookup, decision and S/MIME to the hand-off. It knows everyone and
// holds no logic of theirs.
package relay

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Envelope is what SMTP says about a message (RFC 5321 section 2.3.1), whatever
// door it came in by.
type Envelope struct {
	// ID is our own id of the transaction, for the log; QueueID the MTA's, if
	// known.
	ID, QueueID string
	// MessageID is what the message calls itself, for the log; "" before it has
	// come, and where it has none.
	MessageID  string
	Listener   string
	Sender     address.Address // may be address.Null
	Recipients []Recipient
	// Others is how many recipients the message had besides, when it is decided
	// on again for some of them.
	Others int
	Params MailParams
	Client Client
	// MTA is the name of the MTA that speaks to us, by its greeting or by the
	// milter's macro; "" if it has not said.
	MTA string
}

// Origin returns what the copies of a message are joined to it by.
func (e *Envelope) Origin() Origin {
	return Origin{ID: e.ID, QueueID: e.QueueID, MessageID: e.MessageID}
}

// Origin names the message that a delivery came of, for the log.
type Origin struct {
	ID        string // of the envelope
	QueueID   string `json:",omitempty"`
	MessageID string `json:",omitempty"`
}

// With returns a logger whose lines bear the names.
func (o Origin) With(log *slog.Logger) *slog.Logger {
	for _, attr := range [][2]string{{"id", o.ID}, {"queue_id", o.QueueID}, {"message_id", o.MessageID}} {
		if attr[1] != "" {
			log = log.With(attr[0], attr[1])
		}
	}
	return log
}

// MailParams are the ESMTP parameters of MAIL FROM that must survive (RFC 3461
// section 4, RFC 6531).
type MailParams struct {
	EnvID    string // ENVID, decoded from xtext
	Return   string // RET: "FULL", "HDRS" or ""
	SMTPUTF8 bool
}

// Recipient is a forward-path with its DSN parameters (RFC 3461).
type Recipient struct {
	Address address.Address
	Notify  []string // NOTIFY keywords
	// OriginalType and Original are ORCPT's addr-type and decoded xtext.
	OriginalType, Original string
}

// Client is who handed the message to us or to the MTA in front of us.
type Client struct {
	Addr netip.Addr
	Helo string
	TLS  bool
	User string // authenticated name, "" if none
}

// Handler decides on messages. *Gateway is the one implementation; adapters
// know this interface only.
type Handler interface {
	// Direction tells which rules a recipient of this envelope is judged by. One
	// message may have recipients of both directions.
	Direction(env *Envelope, to address.Address) enforce.Direction
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

// Delivery is a message with the envelope it leaves under.
type Delivery struct {
	Sender     address.Address
	Recipients []Recipient
	Params     MailParams
	Message    *message.Message
	Origin     Origin
	// Treatment is what was done to it, for those who count.
	Treatment Treatment
	// Listener is by which the message came in, for a next hop of its own; ""
	// is the next hop of all others.
	Listener string
	// Secret is nil but for messages that were encrypted when they came in: all
	// that may be reported of them.
	Secret *Secret
}

// Refusal is a recipient that does not get the message, with an error that
// ReplyFor understands.
type Refusal struct {
	Recipient Recipient
	Err       error
}

// Queue takes responsibility for messages.
type Queue interface {
	// Put stores all of the deliveries or none. It returns nil only when they
	// are on stable storage.
	Put(ctx context.Context, ds ...Delivery) error
	// Hold is Put for deliveries that leave a message behind for some of its
	// recipients: it is stored with them, or nothing is.
	Hold(ctx context.Context, h Hold, ds ...Delivery) error
}

// Deliverer hands a message to the next hop now.
type Deliverer interface {
	// Deliver returns one error a recipient, in their order; nil where the next
	// hop took responsibility. relayed says of whom it will never report that they
	// got the message, because it does not know NOTIFY; nil is of no recipient.
	Deliver(ctx context.Context, d Delivery) (results []error, relayed []bool)
}
