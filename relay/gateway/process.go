package gateway

import (
	"context"
	"slices"

	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Process implements relay.Handler.
func (g *Gateway) Process(ctx context.Context, env *relay.Envelope, msg *message.Message, can relay.Capabilities) (a *relay.Answer, err error) {
	defer guard.Recover(&err, g.Log, "message", env.ID)
	admitted, err := g.required(env, msg)
	if err != nil {
		return nil, g.logRefusedMessage(ctx, env, msg, err)
	}
	msg = admitted
	o, err := g.outcome(ctx, env, msg)
	if err != nil {
		return nil, err
	}
	return answer.Of(ctx, o, env, msg, can, g)
}

// outcome decides and carries out what is decided.
func (g *Gateway) outcome(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	o, err := g.process(ctx, env, msg)
	if err == nil {
		o.ByNextHop = g.Exit != nil && slices.ContainsFunc(o.Deliveries, g.Exit)
	}
	return o, err
}

func (g *Gateway) process(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	if slices.ContainsFunc(env.Recipients, func(r relay.Recipient) bool { return g.takesCommands(r.Address) }) {
		if commands, rest := g.splitCommand(env); len(commands) > 0 {
			return g.processCommand(ctx, env, msg, commands, rest)
		}
	}
	return g.processOthers(ctx, env, msg)
}

// processOthers does the work for all recipients but those that take commands.
func (g *Gateway) processOthers(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	returned, rest := split(env, func(a address.Address) bool {
		_, asked := g.bounced(env, a)
		return asked || g.returns(a)
	})
	if len(returned) > 0 {
		return g.processReturned(ctx, env, msg, returned, rest)
	}
	return g.processRecipients(ctx, env, msg)
}

// processRecipients does the work for the recipients of both directions.
func (g *Gateway) processRecipients(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	out, in := g.split(env)
	switch {
	case in == nil:
		return g.processOutbound(ctx, out, msg)
	case out == nil:
		return g.processInbound(ctx, in, msg)
	}
	return join(
		part(out)(g.processOutbound(ctx, out, msg)),
		part(in)(g.processInbound(ctx, in, msg)),
	), nil
}

// part makes the outcome of a part of a message: where the part is refused as a
// whole, each of its recipients is.
func part(env *relay.Envelope) func(*answer.Outcome, error) *answer.Outcome {
	return func(o *answer.Outcome, err error) *answer.Outcome {
		if err == nil {
			return o
		}
		o = &answer.Outcome{}
		for _, r := range env.Recipients {
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: err})
		}
		return o
	}
}

// join makes one outcome of those of the two directions. Only what goes out is
// expanded, stripped, or held, and only what comes in is quarantined.
func join(out, in *answer.Outcome) *answer.Outcome {
	out.Deliveries = append(out.Deliveries, in.Deliveries...)
	out.Refused = append(out.Refused, in.Refused...)
	out.Notices = append(out.Notices, in.Notices...)
	out.Quarantined, out.Kept = in.Quarantined, in.Kept
	return out
}
