package gateway

import (
	"context"
	"log/slog"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Challenges takes the messages by which certification authorities make sure of a local
// address (RFC 8823). It must be safe for concurrent use.
type Challenges interface {
	// Take takes a message that is one for an order of the gateway, to answer it. An error
	// is a temporary fault: the message has to come again.
	Take(ctx context.Context, c Challenge) (Taken, error)
	// Covered are the fields that an S/MIME signature must cover.
	Covered() []string
}

// Challenge is a message that may be one.
type Challenge struct {
	// Message is as it came, To its one recipient.
	Message *message.Message
	To      address.Address
	// Signer is the author, where an S/MIME signature shows it that covers the header;
	// null where none does.
	Signer address.Address
}

// Taken is what became of a message that may be a challenge.
type Taken struct {
	// Taken: it will be answered. Deliver: it is to be delivered as well.
	Taken, Deliver bool
	// Reason says why something that looks like one was not taken; "" for other messages.
	Reason string
}

// challenged hands a message to those who take challenges, and reports whether it is not to
// be delivered. What the inbound rules keep from the recipient is none, and what was encrypted
// is none either: an answer would tell what was in it.
func (g *Gateway) challenged(ctx context.Context, in *arrival, groups []readers, o *answer.Outcome) (bool, error) {
	env := in.env
	if g.Challenges == nil || in.secret || len(env.Recipients) != 1 || env.Others != 0 || len(groups) != 1 || groups[0].decided[0].Action >= enforce.Quarantine {
		return false, nil
	}
	to := env.Recipients[0].Address
	t, err := g.Challenges.Take(ctx, Challenge{Message: in.msg, To: to, Signer: g.signer(groups[0].opened)})
	if err != nil {
		return false, err
	}
	if !t.Taken && t.Reason == "" {
		return false, nil
	}
	level, outcome := slog.LevelWarn, "not answered"
	switch {
	case t.Taken && t.Deliver:
		level, outcome = slog.LevelInfo, "to be answered, delivered"
	case t.Taken:
		level, outcome = slog.LevelInfo, "to be answered"
		o.Returned = append(o.Returned, to)
	}
	g.Log.LogAttrs(ctx, level, "certificate challenge",
		slog.String("id", env.ID), slog.String("queue_id", env.QueueID), slog.String("message_id", env.MessageID), slog.String("sender", env.Sender.String()),
		slog.String("recipient", to.String()), slog.String("outcome", outcome), slog.String("reason", t.Reason))
	return t.Taken && !t.Deliver, nil
}

// signer is the author of a message whose own S/MIME signature is good and covers the header.
func (g *Gateway) signer(o *opened) address.Address {
	r := &o.Report
	if s := deciding(r); r.Result != certs.Pass || s == nil || s.DomainSigner != "" || !o.Protects(g.Challenges.Covered()...) {
		return address.Null
	}
	return r.Author
}
