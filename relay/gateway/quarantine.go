package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// quarantine keeps a message from a group. It is kept as it came: what is released
// goes through verification and decryption again.
func (g *Gateway) quarantine(ctx context.Context, in *arrival, group readers, o *answer.Outcome) error {
	env := in.env
	if o.Quarantined == nil {
		now := g.Clock()
		o.Quarantined = &relay.Hold{
			Envelope: *without(env), Message: in.msg, Since: now, Until: now.Add(g.Quarantine),
			Quarantined: true, Encrypted: in.secret,
		}
	}
	h := o.Quarantined
	for i, d := range group.decided {
		h.Envelope.Recipients = append(h.Envelope.Recipients, group.recipients[i])
		h.Envelope.Others--
		h.Reasons = append(h.Reasons, d.Reason)
		in.log(group, d, Decision{
			Outcome: "quarantined", Reason: in.reason(&group.opened.Report, d.Address, d.Note), Cause: fault.Policy.String(),
		})
	}
	notices, err := g.quarantineNotices(ctx, in, group.decided, h)
	o.Notices = append(o.Notices, notices...)
	return err
}

// quarantineNotices are the notices that the rules ask for: a recipient is notified of
// itself, and an administrator once of all.
func (g *Gateway) quarantineNotices(ctx context.Context, in *arrival, decided []enforce.InboundDecision, h *relay.Hold) ([]relay.Delivery, error) {
	var all []relay.Delivery
	add := func(to address.Address, kept []dsn.Kept) error {
		d, err := g.quarantineNotice(ctx, in, to, kept, h)
		if err == nil {
			all = append(all, d)
		}
		return err
	}
	var administrators []address.Address
	forAdministrators := make(map[address.Address][]dsn.Kept)
	partner := g.partnerOf(in)
	for _, d := range decided {
		kept := dsn.Kept{Address: d.Address, Reason: partner.With(d.Reason)}
		if d.ToRecipient {
			if err := add(d.Address, []dsn.Kept{kept}); err != nil {
				return nil, err
			}
		}
		for _, a := range d.Notify {
			if !slices.Contains(administrators, a) {
				administrators = append(administrators, a)
			}
			forAdministrators[a] = append(forAdministrators[a], kept)
		}
	}
	for _, a := range administrators {
		if err := add(a, forAdministrators[a]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// partnerOf is what is agreed with the domain of the one author of a message.
func (g *Gateway) partnerOf(in *arrival) *enforce.Partner {
	if len(in.facts.From) != 1 {
		return nil
	}
	return g.Partners.Of(in.facts.From[0])
}

// quarantineNotice is one notice. It bears the null reverse-path and is signed like a
// report.
func (g *Gateway) quarantineNotice(ctx context.Context, in *arrival, to address.Address, kept []dsn.Kept, h *relay.Hold) (relay.Delivery, error) {
	id := rand.Text()
	m, err := dsn.BuildQuarantine(dsn.Quarantine{
		ID: id, Hostname: g.Hostname, From: g.Postmaster, To: to, Now: g.Clock(),
		Sender: in.env.Sender, Subject: decoded(in.msg.Get("Subject")), MessageID: place(in.msg.Get("Message-ID")),
		Until: h.Until, Recipients: kept, Texts: g.Texts,
	})
	if err != nil {
		return relay.Delivery{}, fault.New(fault.Internal, "internal error, try again later ("+in.env.ID+")", err)
	}
	return g.noticeTo(ctx, to, id, m, in.env.Listener), nil
}

// noticeTo is the delivery of a notice to someone of the house.
func (g *Gateway) noticeTo(ctx context.Context, to address.Address, id string, m *message.Message, listener string) relay.Delivery {
	return relay.Delivery{
		Recipients: []relay.Recipient{{Address: to, Notify: []string{"NEVER"}}},
		Params:     relay.MailParams{SMTPUTF8: !to.ASCII()},
		Message:    g.signedReport(ctx, id, m), Listener: listener,
	}
}

// reconsiderQuarantined does what an administrator orders for a message in quarantine,
// and deletes it when its time is over: a report to a sender whose address may be
// forged would reach a stranger, and one about a message that was encrypted would tell
// what was found in it.
func (g *Gateway) reconsiderQuarantined(ctx context.Context, h *relay.Hold, order relay.Order) (relay.Batch, error) {
	env := &h.Envelope
	switch {
	case order.Verb == relay.Release:
		return g.release(ctx, h, order)
	case order.Verb == relay.GiveBack:
		return g.returnQuarantined(ctx, h, order)
	case g.Clock().Before(h.Until):
		return relay.Batch{Held: h}, nil
	}
	for i, r := range env.Recipients {
		g.decided(ctx, slog.LevelWarn, Decision{
			Envelope: env, Assigned: enforce.Assigned{Address: r.Address}, Moment: OnHeld, Outcome: OutcomeDeleted, Reason: h.Reasons[i],
		})
	}
	return relay.Batch{}, nil
}

// release delivers a message that is in quarantine, verified and decrypted like
// others, whatever the inbound rules say.
func (g *Gateway) release(ctx context.Context, h *relay.Hold, order relay.Order) (b relay.Batch, err error) {
	env := &h.Envelope
	defer guard.Recover(&err, g.Log, "held message", env.ID)
	for _, r := range env.Recipients {
		if d := g.Direction(env, r.Address); d != enforce.Inbound {
			return b, fault.New(fault.Policy, fmt.Sprintf("%s is not an inbound recipient any more", r.Address), nil)
		}
	}
	o, err := g.inbound(ctx, env, h.Message, true)
	if err != nil {
		return b, err
	}
	g.logReleased(ctx, env, o, order)
	return relay.Batch{Copies: env.Named(o.Deliveries...), Notices: env.Named(o.Kept...)}, nil
}

// returnQuarantined gives a message back to its sender, with the words of the
// administrator.
func (g *Gateway) returnQuarantined(ctx context.Context, h *relay.Hold, order relay.Order) (relay.Batch, error) {
	env := &h.Envelope
	o := &answer.Outcome{}
	for i, r := range env.Recipients {
		text := "returned by an administrator"
		if order.Reason != "" {
			text += ": " + order.Reason
		}
		if !h.Encrypted {
			text += "; " + h.Reasons[i]
		}
		o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: fault.New(fault.Policy, text, nil)})
	}
	d, ok, err := g.Report(ctx, relay.Delivery{Sender: env.Sender, Params: env.Params, Message: h.Message, Listener: env.Listener},
		relay.Event{Kind: relay.Failed, About: o.Refused, Arrived: h.Since})
	if err != nil {
		return relay.Batch{}, err
	}
	if ok {
		o.Notices = append(o.Notices, d)
	}
	g.logReleased(ctx, env, o, order)
	return relay.Batch{Notices: env.Named(o.Notices...)}, nil
}
