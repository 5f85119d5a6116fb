package gateway

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// processOutbound decides on a message and carries the plan out. Nothing is
// handed on unless every copy could be made.
func (g *Gateway) processOutbound(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	watch := g.stopwatch()
	facts, span := tracing.Start(ctx, "facts")
	e, err := g.judge(facts, env, msg, toCarryOut)
	span.End(err)
	if err != nil {
		return nil, g.logRefusedMessage(ctx, env, msg, err)
	}
	watch.lap("lookups")
	env = e.expanded(env)
	plan, o, err := g.settle(ctx, env, msg, e, func(plan enforce.Plan) enforce.Plan { return answerable(env, plan) })
	if err == nil {
		if o.Held = g.hold(env, msg, plan); o.Held != nil {
			o.Questions, o.Held.Unasked = g.questions(ctx, env, msg, &e.facts, plan.Held, o.Held.Until)
			noteAsked(o.Held, areAsked(plan.Held))
		}
		err = g.tell(ctx, env, msg, plan, o)
	}
	if err != nil {
		return nil, g.logRefusedMessage(ctx, env, msg, err)
	}
	watch.lap("signing and encryption")
	g.logExpansions(env, e)
	g.logPlan(ctx, plan, o, Decision{Envelope: env, Size: msg.Size(), Stages: watch.done, Facts: &e.facts})
	return o, nil
}

// judge finds out everything on which the decision on an outbound message depends,
// or why there is none to make.
func (g *Gateway) judge(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose) (*evidence, error) {
	if what.follows() {
		if err := g.admit(env, env.Recipients[0].Address); err != nil {
			return nil, err
		}
	}
	return g.collect(ctx, env, msg, what)
}

// answerable leaves to the client what a sender would have to be notified of. Without a
// sender there is no one to notify of a recipient that is left out: it is refused; nor of
// one who waits: the server that has the message keeps it.
func answerable(env *relay.Envelope, plan enforce.Plan) enforce.Plan {
	if env.Sender.IsNull() {
		plan.Refused = append(plan.Refused, plan.Stripped...)
		for _, h := range plan.Held {
			h.Temporary, h.Missing = true, missingSender
			plan.Refused = append(plan.Refused, h)
		}
		plan.Stripped, plan.Held = nil, nil
	}
	return plan
}

// missingSender is what is missing where a recipient would be held and no one
// could be notified of it.
const missingSender enforce.Missing = "sender"

// carryOut makes the outcome of a plan.
func (g *Gateway) carryOut(ctx context.Context, env *relay.Envelope, msg *message.Message, e *evidence, plan enforce.Plan) (*answer.Outcome, error) {
	if err := g.reserveCopies(ctx, plan, msg); err != nil {
		return nil, err
	}
	o := &answer.Outcome{Expanded: e.expansions}
	render, err := g.newRenderer(env, msg, e)
	if err != nil {
		return nil, err
	}
	render.hidden = g.answersHidden(ctx, msg, plan) != ""
	for _, c := range plan.Copies {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Capacity, "processing the message takes too long, try again later", err)
		}
		m, how, err := render.copy(ctx, c)
		if err != nil {
			return nil, err
		}
		d := relay.Delivery{Sender: env.Sender, Params: env.Params, Message: m, Listener: env.Listener, Direction: string(enforce.Outbound), Treatment: how}
		for _, a := range c.Recipients {
			r := env.Recipients[a.Index]
			r.Rule = a.Rule
			d.Recipients = append(d.Recipients, r)
		}
		o.Deliveries = append(o.Deliveries, d)
	}
	for _, r := range plan.Refused {
		o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: env.Recipients[r.Index], Err: fault.Logged(refusalError(r))}) // by logPlan
	}
	for _, r := range plan.Stripped {
		o.Stripped = append(o.Stripped, r.Address)
	}
	return o, nil
}

// reserveCopies takes the memory for all encrypted copies but the first, which
// relay.MessageFactor has room for: hidden recipients get one each. What must be
// encoded to be signed is a copy more.
func (g *Gateway) reserveCopies(ctx context.Context, plan enforce.Plan, msg *message.Message) error {
	copies, encoded := 0, false
	for _, c := range plan.Copies {
		if c.Encrypt == nil {
			continue
		}
		copies++
		if c.Sign == nil {
			continue
		}
		profile := g.Profiles[c.Sign.Profile]
		encoded = encoded || profile.Opaque || !message.ScanLines(msg.Body()).ASCII
		if profile.Wrap == "triple" {
			copies++ // the one that is signed again
		}
	}
	more := copies - 1
	if encoded {
		more++
	}
	if more < 1 {
		return nil
	}
	// Base64 makes four octets of three, and quoted-printable may have been there
	// before it.
	if r := relay.MemoryOf(ctx); !r.Reserve(int64(more) * int64(msg.Size()) * 3 / 2) {
		return relay.NoMemory(r, fmt.Errorf("%d encrypted copies of a message of %d octets", copies, msg.Size()))
	}
	return nil
}

// logPlan notes what was decided, for each recipient. all is what is so for each of them;
// its facts are those of all.
func (g *Gateway) logPlan(ctx context.Context, plan enforce.Plan, o *answer.Outcome, all Decision) {
	note := func(level slog.Level, a enforce.Assigned, outcome, reason string, d Decision) {
		d.Assigned, d.Outcome, d.Decided, d.Reason = a, outcome, outcome, reason
		d.Facts = only(all.Facts, a.Index)
		g.decided(ctx, level, d)
	}
	for i, c := range plan.Copies {
		d := all
		d.Steps, d.Treatment = steps(c), o.Deliveries[i].Treatment
		if d.Treatment.HiddenSubject && !g.Profiles[c.Encrypt.Profile].ProtectEncrypted {
			d.Steps = append(d.Steps, "hide the subject, as that of what it answers was or may have been")
		}
		if c.Encrypt != nil {
			d.Certificates = c.Encrypt.Certificates
		}
		for _, a := range c.Recipients {
			if a.Report != "" {
				note(slog.LevelInfo, a, "reported", a.Report, d)
			} else {
				note(slog.LevelInfo, a, c.Treatment(), a.Note, d)
			}
		}
	}
	for _, r := range plan.Refused {
		level := slog.LevelInfo
		if r.Temporary && r.Missing == enforce.MissingIdentity {
			// Only we can mend that, and until then the mail waits.
			level = slog.LevelError
		}
		d := all
		d.Cause = missing(r)
		note(level, r.Assigned, r.Treatment(), r.Reason, d)
	}
	for _, kept := range []struct {
		outcome string
		from    []enforce.Refusal
	}{{"stripped", plan.Stripped}, {"held", plan.Held}} {
		for _, r := range kept.from {
			d := all
			d.Cause = missing(r)
			note(slog.LevelInfo, r.Assigned, kept.outcome, waits(r), d)
		}
	}
}

// logRefusedMessage writes that a message was refused as a whole, and returns the error
// to answer with.
func (g *Gateway) logRefusedMessage(ctx context.Context, env *relay.Envelope, msg *message.Message, err error) error {
	f := fault.Of(err)
	word := "refused"
	if f.Kind.Temporary() {
		word = "deferred"
	}
	reason := f.Public
	if f.Cause != nil {
		reason += ": " + f.Cause.Error()
	}
	d := Decision{Envelope: env, Outcome: word, Decided: word, Reason: reason, Cause: f.Kind.String(), Size: msg.Size()}
	for _, r := range env.Recipients {
		d.Assigned = enforce.Assigned{Address: r.Address}
		g.decided(ctx, slog.LevelInfo, d)
	}
	if len(env.Recipients) == 0 {
		g.decided(ctx, slog.LevelInfo, d)
	}
	return fault.Logged(f)
}
