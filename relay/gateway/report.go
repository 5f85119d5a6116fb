package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

var reportKinds = map[relay.EventKind]dsn.Kind{relay.Failed: dsn.Failed, relay.Delayed: dsn.Delayed, relay.Relayed: dsn.Relayed}

// Report implements relay.Reporter. Recipients whose NOTIFY does not ask for it (RFC 3461
// section 4.1) are left out.
func (g *Gateway) Report(ctx context.Context, d relay.Delivery, e relay.Event) (report relay.Delivery, ok bool, err error) {
	defer guard.Recover(&err, g.Log, "report", "")
	if d.Secret != nil {
		if e.Kind != relay.Failed {
			return relay.Delivery{}, false, nil
		}
		d, e = neutral(d, e)
		if d.Secret.Silent {
			// The postmaster hears of it, so that nothing is lost in silence.
			return g.reportInside(ctx, d, e)
		}
	}
	e.About = slices.DeleteFunc(slices.Clone(e.About), func(r relay.RecipientStatus) bool { return !wants(r.Recipient, e.Kind) })
	if d.Sender.IsNull() || len(e.About) == 0 {
		return relay.Delivery{}, false, nil
	}
	r := g.newReport(d, reportKinds[e.Kind], e.About)
	r.Arrived, r.Until = e.Arrived, e.Until
	if e.Arrived.IsZero() {
		r.Arrived = r.Now
	}
	report, err = g.send(ctx, d, r)
	return report, err == nil, err
}

// reportInside reports a failure to the postmaster in the place of the sender.
func (g *Gateway) reportInside(ctx context.Context, d relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
	if !g.own(g.Postmaster) && !g.isPostmaster(g.Postmaster) {
		return relay.Delivery{}, false, nil
	}
	d.Sender, d.Params.EnvID = g.Postmaster, ""
	r := g.newReport(d, reportKinds[e.Kind], e.About)
	r.Arrived, r.Until = e.Arrived, e.Until
	if e.Arrived.IsZero() {
		r.Arrived = r.Now
	}
	report, err := g.send(ctx, d, r)
	return report, err == nil, err
}

// wants reports whether a recipient's NOTIFY asks for reports of a kind. Without
// one, failures are reported, and delays may be.
func wants(r relay.Recipient, kind relay.EventKind) bool {
	has := func(word string) bool {
		return slices.ContainsFunc(r.Notify, func(s string) bool { return strings.EqualFold(s, word) })
	}
	switch kind {
	case relay.Relayed:
		return has("SUCCESS")
	case relay.Delayed:
		return len(r.Notify) == 0 || has("DELAY")
	}
	return len(r.Notify) == 0 || has("FAILURE")
}

func wantsFailure(r relay.Recipient) bool { return wants(r, relay.Failed) }

// tell adds the notice that tells the sender of recipients who were stripped and
// of those who are held: one notice that names all, whatever NOTIFY says, because
// to leave out a recipient silently is worse than a message too many.
func (g *Gateway) tell(ctx context.Context, env *relay.Envelope, msg *message.Message, plan enforce.Plan, o *answer.Outcome) error {
	about := func(list []enforce.Refusal, kind fault.Kind) (statuses []relay.RecipientStatus) {
		for _, r := range list {
			statuses = append(statuses, relay.RecipientStatus{Recipient: env.Recipients[r.Index], Err: fault.New(kind, r.Reason, nil)})
		}
		return statuses
	}
	stripped, held := about(plan.Stripped, fault.Policy), about(plan.Held, fault.Held)
	if len(stripped)+len(held) == 0 {
		return nil
	}
	if env.Sender.IsNull() {
		return errors.New("notice: the message has no sender to notify")
	}
	d := relay.Delivery{Sender: env.Sender, Params: env.Params, Message: msg, Listener: env.Listener}
	r := g.newReport(d, dsn.Stripped, stripped)
	if len(held) > 0 {
		r = g.newReport(d, dsn.Held, held)
		r.Until = o.Held.Until
		r.Stripped = recipients(stripped)
		for i, h := range plan.Held {
			r.Recipients[i].Asked = h.Ask
		}
	}
	r.Arrived = r.Now
	notice, err := g.send(ctx, d, r)
	if err != nil {
		return err
	}
	o.Notices = append(o.Notices, notice)
	return nil
}

// newReport begins a report to the sender of d. It bears the null reverse-path, so
// that no one reports about it. Even the header of the message is quoted only to
// local senders: the others get what they need to find their message.
func (g *Gateway) newReport(d relay.Delivery, kind dsn.Kind, about []relay.RecipientStatus) dsn.Report {
	r := dsn.Report{
		Recipients: recipients(about),
		Kind:       kind, ID: rand.Text(), Hostname: g.Hostname,
		From: g.Postmaster, To: d.Sender,
		EnvelopeID: d.Params.EnvID, Now: g.Clock(), Texts: g.Texts, Contact: g.Contact,
	}
	switch {
	case d.Secret != nil:
		r.MessageID, r.Date = d.Secret.MessageID, d.Secret.Date
	case d.Message != nil:
		r.MessageID, r.Date = place(d.Message.Get("Message-ID")), place(d.Message.Get("Date"))
		if g.own(d.Sender) {
			r.Original, r.Subject = d.Message, decoded(d.Message.Get("Subject"))
		}
	case d.Asks != nil:
		r.MessageID = place(d.Origin.MessageID)
	}
	return r
}

// recipients says of each what it was refused with.
func recipients(about []relay.RecipientStatus) []dsn.Recipient {
	var list []dsn.Recipient
	for _, a := range about {
		reply, remote := fault.Reply{}, ""
		if a.Err != nil {
			reply, remote = relay.ReplyFor(a.Err), fault.Of(a.Err).Host
		}
		list = append(list, dsn.Recipient{
			Address:      a.Recipient.Address,
			OriginalType: a.Recipient.OriginalType, Original: a.Recipient.Original,
			Reply: reply, RemoteMTA: remote,
		})
	}
	return list
}

// send makes a report ready to leave.
func (g *Gateway) send(ctx context.Context, d relay.Delivery, r dsn.Report) (relay.Delivery, error) {
	m, err := dsn.Build(r)
	if err != nil {
		return relay.Delivery{}, fault.New(fault.Internal, "internal error, try again later ("+r.ID+")", err)
	}
	return relay.Delivery{
		Recipients: []relay.Recipient{{Address: d.Sender, Notify: []string{"NEVER"}}},
		Params:     relay.MailParams{SMTPUTF8: !d.Sender.ASCII(), RequireTLS: d.Params.RequireTLS},
		Message:    g.signedReport(ctx, r.ID, m), Listener: d.Listener,
	}, nil
}

// signedReport signs a report with the postmaster's identity, if there is one; id
// is for the log. A report without a signature is better than none.
func (g *Gateway) signedReport(ctx context.Context, id string, m *message.Message) *message.Message {
	if g.Postmaster.IsNull() {
		return m
	}
	own, err := g.Keys.Signing(ctx, g.Postmaster)
	if own == nil && err == nil {
		return m
	}
	var signed *message.Message
	if err == nil {
		signed, err = smime.Sign(m, own, smime.SignOptions{Time: g.Clock()})
	}
	if err != nil {
		g.Log.Warn("report is not signed", "id", id, "error", err)
		return m
	}
	return signed
}
