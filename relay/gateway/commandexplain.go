package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// explainCommands takes out the recipients that take mail commands, as process does: no rule
// is asked about them.
func (g *Gateway) explainCommands(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose) (rest *relay.Envelope, apart []ExplainedRecipient) {
	commands, rest := split(env, g.takesCommands)
	switch {
	case len(commands) == 0:
		return env, nil
	case what == toFollow:
		if known, err := g.admitCommand(env); known && err != nil {
			for _, r := range commands {
				apart = append(apart, ExplainedRecipient{Address: r.Address.String(), Outcome: "refused", Reason: fault.Of(err).Public, Reply: g.replyText(err)})
			}
			return rest, apart
		}
		if commands, rest = g.splitCommand(env); len(commands) == 0 {
			return env, nil
		}
	case !g.own(env.Sender) && !env.Sender.IsNull():
		return env, nil
	}
	for _, r := range commands {
		apart = append(apart, g.explainCommand(ctx, env, msg, what, r))
	}
	return rest, apart
}

// explainCommand tells what would become of a mail command. What counts commands is not asked.
func (g *Gateway) explainCommand(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose, to relay.Recipient) ExplainedRecipient {
	x := ExplainedRecipient{Address: to.Address.String()}
	if why := g.unanswered(env, msg); why != "" {
		x.Outcome, x.Reason = "discarded", "takes mail commands, but "+why
		return x
	}
	kind, argument := readCommand(decoded(msg.Get("Subject")))
	x.Outcome, x.Reason = "answered", strings.TrimSpace(fmt.Sprintf("as a mail command: %s %s", kind, argument))
	err := g.authenticated(ctx, env, msg, what)
	if err == nil {
		own, missing := g.commandIdentity(ctx)
		switch {
		case missing != nil:
			err = unsigned(missing)
		case own == nil:
			x.Reason += "; an identity of " + g.Commands.Address.String() + " is issued first"
		}
	}
	if err != nil {
		x.Outcome, x.Reason, x.Reply = "refused", fault.Of(err).Error(), g.replyText(err)
		if relay.Temporary(err) {
			x.Outcome = "deferred"
		}
	}
	return x
}
