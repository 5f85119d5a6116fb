// Package dsn writes what the gateway has to tell a sender: delivery status
// notifications (RFC 3464 in the multipart/report of RFC 6522). They quote the
// header of the message and never its body, so that nothing comes back in the
// clear that had to be encrypted. Everything in them is 7-bit and is cleaned of
// line ends, whatever the message or the next hop put into it.
package dsn

import (
	"errors"
	"fmt"
	"mime"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Kind is what a report tells.
type Kind int

const (
	// Failed: the recipients do not get the message, and it is not tried again.
	Failed Kind = iota
	// Delayed: the recipients have not got the message yet.
	Delayed
	// Stripped: the recipients were removed and the others got the message.
	Stripped
	// Held: the message is kept for the recipients until there is a certificate.
	Held
	// Relayed: the next hop took the message and will report no success.
	Relayed
)

// Report is what a report says. All texts may come from outside.
type Report struct {
	Kind Kind
	// ID is unique to the report, of letters and digits; it makes the
	// Message-ID and the boundary.
	ID string
	// Hostname is the reporting MTA.
	Hostname string
	// From is the author of the report, To the sender of the message.
	From, To address.Address
	// EnvelopeID is ENVID (RFC 3461 section 4.4), decoded; "" if there is none.
	EnvelopeID string
	// Arrived is when the message came in; zero if unknown.
	Arrived time.Time
	// Now is the time of the report.
	Now        time.Time
	Recipients []Recipient
	// Until is when those who are held or delayed are given up; zero if there are none.
	Until time.Time
	// Stripped are recipients who were removed, in a report that others are
	// held.
	Stripped []Recipient
	// Texts are the words; nil is the built-in English. A subject of theirs
	// never quotes the message's own, which may be a secret.
	Texts *Texts
	// Contact is whom the sender may ask; "" if there is no one.
	Contact string
	// Subject is that of the message, decoded, for a sender who is one of us; "" else.
	Subject string
	// MessageID and Date are those of the message; "" if unknown.
	MessageID, Date string
	// Original is the message that the report is about, where its header may be
	// quoted; nil: MessageID and Date are all that is.
	Original *message.Message
}

// Recipient is one recipient and what became of it.
type Recipient struct {
	Address address.Address
	// OriginalType and Original are ORCPT (RFC 3461 section 4.2), decoded.
	OriginalType, Original string
	// Reply is what the recipient was refused with.
	Reply fault.Reply
	// RemoteMTA is the next hop if Reply is its own; "" if it is ours.
	RemoteMTA string
	// Asked says of one who is held that the recipient was asked for a certificate.
	Asked bool
}

var errNobody = errors.New("report: no sender, or no recipients to report")

// Build returns the report as a message. The caller sends it with the null
// reverse-path (RFC 3464 section 2): there are no reports about reports.
func Build(r Report) (*message.Message, error) {
	if r.To.IsNull() || len(r.Recipients) == 0 {
		return nil, errNobody
	}
	boundary := "report-" + token(r.ID)
	subject, text, html, err := r.words()
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	fields, err := r.fields(boundary, subject)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	m, err := message.Build(fields, r.body(boundary, text, html))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return m, nil
}

func (r *Report) fields(boundary, subject string) ([]message.Field, error) {
	texts := [][2]string{
		{"Date", r.Now.Format(time.RFC1123Z)},
		{"From", mailbox("Mail gateway", r.From, r.Hostname)},
		{"To", headerAddress(r.To)},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Message-ID", "<" + token(r.ID) + "@" + token(r.Hostname) + ">"},
		{"Auto-Submitted", "auto-replied"}, // RFC 3834 section 5
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/report; report-type=delivery-status; boundary="` + boundary + `"`},
	}
	return newFields(texts)
}

func newFields(texts [][2]string) ([]message.Field, error) {
	fields := make([]message.Field, 0, len(texts))
	for _, t := range texts {
		f, err := message.NewField(t[0], t[1])
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}
