// Package relay has the types at the seams of the mail path, between the listeners,
// the pipeline (package gateway), the queue and the next hop, and makes SMTP replies
// of errors. It does no I/O itself and depends on no package that does.
package relay

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Envelope is what SMTP says about a message (RFC 5321 section 2.3.1), whatever
// listener it came in by.
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
	// Begun is when the transaction began, for measurements; zero for a message that was
	// kept and is decided on again.
	Begun time.Time
	// MTA is the name of the MTA that speaks to us, by its greeting or by the
	// milter's macro; "" if it has not said.
	MTA string
}

// Origin returns what the copies of a message are joined to it by.
func (e *Envelope) Origin() Origin {
	return Origin{ID: e.ID, QueueID: e.QueueID, MessageID: e.MessageID}
}

// Named returns deliveries that note which message they came of.
func (e *Envelope) Named(ds ...Delivery) []Delivery {
	named := slices.Clone(ds)
	for i := range named {
		named[i].Origin = e.Origin()
	}
	return named
}

// Origin names the message that a delivery came of, for the log.
type Origin struct {
	ID        string // of the envelope
	QueueID   string `json:",omitempty"`
	MessageID string `json:",omitempty"`
}

// Attrs returns the names that there are, for a line of the log, with room for others.
func (o Origin) Attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 8)
	for _, attr := range [...]slog.Attr{
		slog.String("id", o.ID), slog.String("queue_id", o.QueueID), slog.String("message_id", o.MessageID),
	} {
		if attr.Value.String() != "" {
			attrs = append(attrs, attr)
		}
	}
	return attrs
}

// With returns a logger whose lines bear the names. For one line Attrs costs less.
func (o Origin) With(log *slog.Logger) *slog.Logger {
	attrs := o.Attrs()
	if len(attrs) == 0 {
		return log
	}
	return slog.New(log.Handler().WithAttrs(attrs))
}

// MailParams are the ESMTP parameters of MAIL FROM that must survive (RFC 3461
// section 4, RFC 6531, RFC 8689).
type MailParams struct {
	EnvID    string // ENVID, decoded from xtext
	Return   string // RET: "FULL", "HDRS" or ""
	SMTPUTF8 bool
	// RequireTLS is REQUIRETLS (RFC 8689 section 2): every hop must have TLS with a
	// verified certificate and promise the same. A message that cannot leave so is
	// returned, without its content.
	RequireTLS bool `json:",omitempty"`
}

// Recipient is a forward-path with its DSN parameters (RFC 3461).
type Recipient struct {
	Address address.Address
	Notify  []string // NOTIFY keywords
	// OriginalType and Original are ORCPT's addr-type and decoded xtext.
	OriginalType, Original string
	// Rule is the name of the rule that decided on a copy; "" before, and where none did.
	Rule string `json:",omitempty"`
}

// Key names a recipient of one envelope. The local part is compared octet by
// octet: only the receiving host knows whether two spellings are one mailbox.
func Key(a address.Address) string { return a.Key(address.ExactCase) }

// ParseClient reads the address of a client, as an administrator writes it.
func ParseClient(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, fmt.Errorf("%q is not an IP address; write it like 192.0.2.7 or 2001:db8::7", text)
	}
	return a, nil
}

// Client is who handed the message to us or to the MTA in front of us.
type Client struct {
	Addr netip.Addr
	Helo string
	TLS  bool
	User string // authenticated name, "" if none
}
