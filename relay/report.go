package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
)

// Report implements Handler. A recipient who asked for no notice of failures
// (NOTIFY, RFC 3461 section 4.1) is left out.
func (g *Gateway) Report(env *Envelope, msg *message.Message, refused []Refusal) (d Delivery, ok bool, err error) {
	defer g.recovered(env, &err)
	wanted := slices.DeleteFunc(slices.Clone(refused), func(r Refusal) bool { return !wantsFailure(r.Recipient) })
	if env.Sender.IsNull() || len(wanted) == 0 {
		return Delivery{}, false, nil
	}
	d, err = g.report(env, msg, dsn.Failed, wanted)
	return d, err == nil, err
}

func wantsFailure(r Recipient) bool {
	return len(r.Notify) == 0 || slices.ContainsFunc(r.Notify, func(s string) bool { return strings.EqualFold(s, "FAILURE") })
}

// notice tells the sender of recipients that were stripped: one notice that
// names all, whatever NOTIFY says, because to leave out a recipient silently is
// worse than a message too many.
func (g *Gateway) notice(env *Envelope, msg *message.Message, stripped []Refusal) (Delivery, error) {
	if env.Sender.IsNull() {
		return Delivery{}, errors.New("notice: there is no sender to tell")
	}
	return g.report(env, msg, dsn.Stripped, stripped)
}

// report writes a report to the sender. It bears the null reverse-path, so that
// nobody reports about it. Even the header of the message is quoted only to
// senders of ours: nobody else needs to have it in the clear.
func (g *Gateway) report(env *Envelope, msg *message.Message, kind dsn.Kind, about []Refusal) (Delivery, error) {
	r := dsn.Report{
		Kind: kind, ID: rand.Text(), Hostname: g.Hostname,
		From: g.Postmaster, To: env.Sender,
		EnvelopeID: env.Params.EnvID, Now: g.Clock(), Texts: g.Texts,
	}
	if g.own(env.Sender) {
		r.Original = msg
	}
	for _, a := range about {
		r.Recipients = append(r.Recipients, dsn.Recipient{
			Address:      a.Recipient.Address,
			OriginalType: a.Recipient.OriginalType, Original: a.Recipient.Original,
			Reply: ReplyFor(a.Err),
		})
	}
	m, err := dsn.Build(r)
	if err != nil {
		return Delivery{}, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	return Delivery{
		Recipients: []Recipient{{Address: env.Sender, Notify: []string{"NEVER"}}},
		Params:     MailParams{SMTPUTF8: !env.Sender.ASCII()},
		Message:    g.signedReport(env.ID, m),
	}, nil
}

// signedReport signs a report with the postmaster's identity, if there is one; id
// is for the log. A report without a signature is better than none.
func (g *Gateway) signedReport(id string, m *message.Message) *message.Message {
	if g.Postmaster.IsNull() {
		return m
	}
	own, err := g.Keys.Signing(context.Background(), g.Postmaster)
	if own == nil || err != nil {
		return m
	}
	signed, err := smime.Sign(m, own, smime.SignOptions{Time: g.Clock()})
	if err != nil {
		g.Log.Warn("report is not signed", "id", id, "error", err)
		return m
	}
	return signed
}
