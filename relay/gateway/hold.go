package gateway

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// hold is the part of a message that waits; nil if no recipient does.
func (g *Gateway) hold(env *relay.Envelope, msg *message.Message, plan enforce.Plan) *relay.Hold {
	if len(plan.Held) == 0 {
		return nil
	}
	now := g.Clock()
	h := &relay.Hold{Envelope: *env, Message: msg, Since: now, Until: now.Add(g.Hold)}
	keep(h, env, plan.Held)
	return h
}

// keep makes those in held the recipients who wait.
func keep(h *relay.Hold, env *relay.Envelope, held []enforce.Refusal) {
	h.Envelope.Others = env.Others + len(env.Recipients) - len(held)
	asked, unreached := make([]bool, len(held)), make([]string, len(held))
	h.Envelope.Recipients, h.Reasons = nil, nil
	for i, r := range held {
		h.Envelope.Recipients = append(h.Envelope.Recipients, env.Recipients[r.Index])
		h.Reasons = append(h.Reasons, r.Reason)
		asked[i], unreached[i] = h.IsAsked(r.Index), h.WhyUnreached(r.Index)
	}
	h.Asked, h.Unreached = orNil(asked), orNil(unreached)
}

// orNil returns a list, or nil for one with nothing in it about anyone: the queue stores none.
func orNil[T comparable](list []T) []T {
	var nothing T
	if slices.ContainsFunc(list, func(v T) bool { return v != nothing }) {
		return list
	}
	return nil
}

// waiting are those who wait, as refusals of a plan.
func waiting(h *relay.Hold) []enforce.Refusal {
	var list []enforce.Refusal
	for i, r := range h.Envelope.Recipients {
		list = append(list, enforce.Refusal{Assigned: enforce.Assigned{Index: i, Address: r.Address}, Reason: h.Reasons[i]})
	}
	return list
}

// Reconsider implements relay.Decider.
//
// A copy leaves only if it is encrypted, whatever the rules have become since,
// unless an administrator says otherwise: the sender was notified that it would be.
// An error says why nothing could be decided now; a message whose time is over
// is given up all the same.
func (g *Gateway) Reconsider(ctx context.Context, h relay.Hold, order relay.Order) (relay.Batch, error) {
	if h.Quarantined {
		return g.reconsiderQuarantined(ctx, &h, order)
	}
	env := &h.Envelope
	over := g.isOver(&h, order)
	o, waiters, facts, err := g.again(ctx, &h, order)
	if err != nil {
		if !over {
			return relay.Batch{}, err
		}
		o, waiters = &answer.Outcome{}, waiting(&h)
	}
	waiters = slices.DeleteFunc(waiters, func(r enforce.Refusal) bool {
		err := g.givenUp(&h, r, order)
		if err != nil {
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: env.Recipients[r.Index], Err: err})
		}
		return err != nil
	})
	if len(o.Refused) > 0 {
		d, ok, err := g.Report(ctx, relay.Delivery{Sender: env.Sender, Params: env.Params, Message: h.Message, Listener: env.Listener},
			relay.Event{Kind: relay.Failed, About: o.Refused, Arrived: h.Since})
		if err != nil {
			return relay.Batch{}, err
		}
		if ok {
			o.Notices = append(o.Notices, d)
		}
	}
	g.logReleased(ctx, env, o, order)
	b := relay.Batch{Copies: env.Named(o.Deliveries...), Notices: env.Named(o.Notices...)}
	if len(waiters) > 0 {
		rest := h
		keep(&rest, env, waiters)
		b.Questions = g.askLater(ctx, &h, &rest, facts, waiters)
		b.Held = &rest
	}
	return b, nil
}

// again decides and carries out what can be done now; waiters is for whom nothing
// can, and facts are those of the decision, nil where there was none.
func (g *Gateway) again(ctx context.Context, h *relay.Hold, order relay.Order) (o *answer.Outcome, waiters []enforce.Refusal, facts *enforce.Facts, err error) {
	env := &h.Envelope
	defer guard.Recover(&err, g.Log, "held message", env.ID)
	if order.Verb == relay.GiveBack {
		return &answer.Outcome{}, waiting(h), nil, nil
	}
	e, err := g.collect(ctx, env, h.Message, toRelease)
	if err != nil {
		return nil, nil, nil, err
	}
	e.facts.Released = order.Verb == relay.ReleasePlain
	_, o, err = g.settle(ctx, env, h.Message, e, func(plan enforce.Plan) enforce.Plan {
		plan, waiters = waitOn(plan, e.facts.Released)
		return plan
	})
	return o, waiters, &e.facts, err
}

// waitOn takes those out of a plan who cannot get the message now, or could get
// it in the clear only.
func waitOn(plan enforce.Plan, released bool) (now enforce.Plan, waiting []enforce.Refusal) {
	waiting = plan.Held
	for _, c := range plan.Copies {
		if c.Encrypt != nil || released {
			now.Copies = append(now.Copies, c)
			continue
		}
		for _, a := range c.Recipients {
			waiting = append(waiting, enforce.Refusal{Assigned: a,
				Reason: "the current rules would send the message in plaintext, but it was held to be encrypted"})
		}
	}
	for _, r := range slices.Concat(plan.Refused, plan.Stripped) {
		if r.Temporary {
			waiting = append(waiting, r)
		} else {
			now.Refused = append(now.Refused, r)
		}
	}
	return now, waiting
}

// isOver reports whether no one waits on, whatever is found out.
func (g *Gateway) isOver(h *relay.Hold, order relay.Order) bool {
	return order.Verb == relay.GiveBack || !g.Clock().Before(h.Until)
}

// givenUp is the error for a recipient who does not wait on: an administrator says so, the question
// came back, or the time is over. It is nil for all others. A question that came back does not
// count while a certificate may be there that cannot be looked up.
func (g *Gateway) givenUp(h *relay.Hold, r enforce.Refusal, order relay.Order) error {
	why := h.WhyUnreached(r.Index)
	switch over := g.isOver(h, order); {
	case order.Verb == relay.GiveBack:
		text := "returned by an administrator"
		if order.Reason != "" {
			text += ": " + order.Reason
		}
		return fault.New(fault.Policy, text+"; "+r.Reason, nil)
	case why != "" && (over || !r.Temporary):
		return unreachable(why)
	case over:
		return fault.New(fault.Policy, "held since "+h.Since.Format(time.DateOnly)+" and given up: "+r.Reason, nil)
	}
	return nil
}

// logReleased writes what became of those who waited, one line a recipient.
func (g *Gateway) logReleased(ctx context.Context, env *relay.Envelope, o *answer.Outcome, order relay.Order) {
	level, word, reason := slog.LevelInfo, OutcomeReleased, order.Reason
	if order.Verb == relay.ReleasePlain {
		level, word = slog.LevelWarn, OutcomeReleasedPlain
	}
	if order.By != "" {
		reason += " (" + order.By + ")"
	}
	all := Decision{Envelope: env, Moment: OnHeld, Order: order, Outcome: word, Reason: reason}
	for _, copied := range o.Deliveries {
		d := all
		d.Treatment = copied.Treatment
		for _, r := range copied.Recipients {
			d.Assigned = enforce.Assigned{Address: r.Address, Rule: r.Rule}
			g.decided(ctx, level, d)
		}
	}
	for _, r := range o.Refused {
		d := all
		d.Assigned, d.Outcome, d.Reason = enforce.Assigned{Address: r.Recipient.Address}, "refused", r.Err.Error()
		d.Cause = fault.Of(r.Err).Kind.String()
		g.decided(ctx, slog.LevelInfo, d)
	}
}
