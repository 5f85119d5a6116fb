package relay

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Hold is a message that is kept for recipients who have no certificate yet: as
// it came, with everything that the decision on it needs to be made again.
type Hold struct {
	// Envelope is that of the message; its recipients are those who wait.
	Envelope Envelope
	Message  *message.Message
	// Reasons say why, in the order of the recipients.
	Reasons []string
	// Since is when the message was put aside, Until when it is given up.
	Since, Until time.Time
}

// Order is what an administrator wants done with a message that is held.
type Order struct {
	Verb OrderVerb `json:"verb"`
	// Reason is why, in the administrator's words, and By who it is: for the log
	// and, with GiveBack, for the sender.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// OrderVerb is one of the orders.
type OrderVerb string

const (
	// LookAgain asks the rules again, as happens from time to time without an
	// order.
	LookAgain OrderVerb = ""
	// ReleasePlain sends the message without the encryption that a rule demands.
	ReleasePlain OrderVerb = "plain"
	// GiveBack refuses the message: its sender gets a report.
	GiveBack OrderVerb = "give-back"
)

// hold is the part of a message that waits; nil if nobody does.
func (g *Gateway) hold(env *Envelope, msg *message.Message, plan enforce.Plan) *Hold {
	if len(plan.Held) == 0 {
		return nil
	}
	now := g.Clock()
	h := &Hold{Envelope: *env, Message: msg, Since: now, Until: now.Add(g.Hold)}
	h.keep(env, plan.Held)
	return h
}

// keep makes those in held the recipients who wait.
func (h *Hold) keep(env *Envelope, held []enforce.Refusal) {
	h.Envelope.Others = env.Others + len(env.Recipients) - len(held)
	h.Envelope.Recipients, h.Reasons = nil, nil
	for _, r := range held {
		h.Envelope.Recipients = append(h.Envelope.Recipients, env.Recipients[r.Index])
		h.Reasons = append(h.Reasons, r.Reason)
	}
}

// waiting are those who wait, as refusals of a plan.
func (h *Hold) waiting() []enforce.Refusal {
	var list []enforce.Refusal
	for i, r := range h.Envelope.Recipients {
		list = append(list, enforce.Refusal{Assigned: enforce.Assigned{Index: i, Address: r.Address}, Reason: h.Reasons[i]})
	}
	return list
}

// Reconsider decides again on a message that is held. The outcome has the copies
// that can leave now and the reports to the sender, and in Held those who wait
// on; all of it belongs into one transaction. Nobody is in Refused or Stripped.
//
// A copy leaves only if it is encrypted, whatever the rules have become since,
// unless an administrator says otherwise: the sender was told that it would be.
// An error says why nothing could be decided now; a message whose time is over
// is given up all the same.
func (g *Gateway) Reconsider(ctx context.Context, h Hold, order Order) (*Outcome, error) {
	env := &h.Envelope
	over := order.Verb == GiveBack || !g.Clock().Before(h.Until)
	o, waiting, err := g.again(ctx, &h, order)
	if err != nil {
		if !over {
			return nil, err
		}
		o, waiting = &Outcome{}, h.waiting()
	}
	if over {
		for _, r := range waiting {
			o.Refused = append(o.Refused, Refusal{Recipient: env.Recipients[r.Index], Err: h.givenUp(r, order)})
		}
		waiting = nil
	}
	if len(o.Refused) > 0 {
		d, ok, err := g.Report(Delivery{Sender: env.Sender, Params: env.Params, Message: h.Message, Listener: env.Listener},
			Event{Kind: Failed, About: o.Refused, Arrived: h.Since})
		if err != nil {
			return nil, err
		}
		if ok {
			o.Notices = append(o.Notices, d)
		}
	}
	g.logReleased(env, o, order)
	o.Refused = nil
	if len(waiting) > 0 {
		rest := h
		rest.keep(env, waiting)
		o.Held = &rest
	}
	return o, nil
}

// again decides and carries out what can be done now; waiting is for whom nothing
// can.
func (g *Gateway) again(ctx context.Context, h *Hold, order Order) (o *Outcome, waiting []enforce.Refusal, err error) {
	env := &h.Envelope
	defer g.recovered(env, &err)
	if order.Verb == GiveBack {
		return &Outcome{}, h.waiting(), nil
	}
	e, err := g.collect(ctx, env, h.Message, toRelease)
	if err != nil {
		return nil, nil, err
	}
	e.facts.Released = order.Verb == ReleasePlain
	plan := g.decide(g.Policy, e.facts)
	if err := g.Policy.Check(e.facts, plan); err != nil {
		return nil, nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	plan, waiting = waitOn(plan, e.facts.Released)
	o, err = g.carryOut(ctx, env, h.Message, e, plan)
	return o, waiting, err
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
				Reason: "the rules would let the message go in the clear now, and it was held as a secret"})
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

// givenUp is the error for a recipient who has waited long enough.
func (h *Hold) givenUp(r enforce.Refusal, order Order) error {
	text := "held since " + h.Since.Format(time.DateOnly) + " and given up: " + r.Reason
	if order.Verb == GiveBack {
		text = "given back by an administrator"
		if order.Reason != "" {
			text += ": " + order.Reason
		}
		text += "; " + r.Reason
	}
	return fault.New(fault.Policy, text, nil)
}

// logReleased writes what became of those who waited, one line a recipient.
func (g *Gateway) logReleased(env *Envelope, o *Outcome, order Order) {
	level, word, reason := slog.LevelInfo, "released", order.Reason
	if order.Verb == ReleasePlain {
		level, word = slog.LevelWarn, "released without encryption"
	}
	if order.By != "" {
		reason += " (" + order.By + ")"
	}
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			g.logAt(level, env, enforce.Assigned{Address: r.Address}, word, reason)
		}
	}
	for _, r := range o.Refused {
		g.logDecision(env, enforce.Assigned{Address: r.Recipient.Address}, "refused", r.Err.Error())
	}
}
