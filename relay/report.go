package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
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
	d, err = g.send(env, g.newReport(env, msg, dsn.Failed, wanted))
	return d, err == nil, err
}

func wantsFailure(r Recipient) bool {
	return len(r.Notify) == 0 || slices.ContainsFunc(r.Notify, func(s string) bool { return strings.EqualFold(s, "FAILURE") })
}

// tell adds the notice that tells the sender of recipients who were stripped and
// of those who are held: one notice that names all, whatever NOTIFY says, because
// to leave out a recipient silently is worse than a message too many.
func (g *Gateway) tell(env *Envelope, msg *message.Message, plan enforce.Plan, o *Outcome) error {
	about := func(list []enforce.Refusal, kind fault.Kind) (told []Refusal) {
		for _, r := range list {
			told = append(told, Refusal{Recipient: env.Recipients[r.Index], Err: fault.New(kind, r.Reason, nil)})
		}
		return told
	}
	stripped, held := about(plan.Stripped, fault.Policy), about(plan.Held, fault.Held)
	if len(stripped)+len(held) == 0 {
		return nil
	}
	if env.Sender.IsNull() {
		return errors.New("notice: there is no sender to tell")
	}
	r := g.newReport(env, msg, dsn.Stripped, stripped)
	if len(held) > 0 {
		r = g.newReport(env, msg, dsn.Held, held)
		r.Until = o.Held.Until
		r.Stripped = recipients(stripped)
	}
	notice, err := g.send(env, r)
	if err != nil {
		return err
	}
	o.Notices = append(o.Notices, notice)
	return nil
}

// newReport begins a report to the sender. It bears the null reverse-path, so that
// nobody reports about it. Even the header of the message is quoted only to
// senders of ours: nobody else needs to have it in the clear.
func (g *Gateway) newReport(env *Envelope, msg *message.Message, kind dsn.Kind, about []Refusal) dsn.Report {
	r := dsn.Report{
		Recipients: recipients(about),
		Kind:       kind, ID: rand.Text(), Hostname: g.Hostname,
		From: g.Postmaster, To: env.Sender,
		EnvelopeID: env.Params.EnvID, Now: g.Clock(), Texts: g.Texts,
	}
	if g.own(env.Sender) {
		r.Original = msg
	}
	return r
}

// recipients says of each what it was refused with.
func recipients(about []Refusal) []dsn.Recipient {
	var list []dsn.Recipient
	for _, a := range about {
		list = append(list, dsn.Recipient{
			Address:      a.Recipient.Address,
			OriginalType: a.Recipient.OriginalType, Original: a.Recipient.Original,
			Reply: ReplyFor(a.Err),
		})
	}
	return list
}

// send makes a report ready to leave.
func (g *Gateway) send(env *Envelope, r dsn.Report) (Delivery, error) {
	m, err := dsn.Build(r)
	if err != nil {
		return Delivery{}, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	return Delivery{
		Recipients: []Recipient{{Address: env.Sender, Notify: []string{"NEVER"}}},
		Params:     MailParams{SMTPUTF8: !env.Sender.ASCII()},
		Message:    g.signedReport(env.ID, m), Listener: env.Listener,
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
