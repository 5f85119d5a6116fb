package relay

import (
	"context"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/smime"
)

// processInbound verifies and decrypts, and delivers in any case: a message
// that cannot be understood arrives as it came, with a status that says so.
func (g *Gateway) processInbound(ctx context.Context, env *Envelope, msg *message.Message) (*Outcome, error) {
	opened := g.open(ctx, msg)
	fields, err := statusFields(g.Hostname, opened)
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	stamped, err := opened.Message.Apply(message.Change{
		Remove:  func(f message.Field) bool { return forged(f, g.Hostname) },
		Prepend: fields,
	})
	if err != nil {
		// Nothing that has bare CR or LF in it gets here from a sound MTA.
		err = fault.New(fault.Malformed, "the message is not well-formed", err)
		g.logRefusedMessage(env, err)
		return nil, err
	}
	for _, r := range env.Recipients {
		g.logDecision(env, enforce.Assigned{Address: r.Address}, string(opened.Report.Result), opened.Report.Reason)
	}
	return &Outcome{Deliveries: []Delivery{{
		Sender: env.Sender, Recipients: slices.Clone(env.Recipients), Params: env.Params, Message: stamped,
	}}}, nil
}

// open does what the configuration asks for.
func (g *Gateway) open(ctx context.Context, msg *message.Message) *smime.Opened {
	if !g.Inbound.Verify && !g.Inbound.Decrypt {
		return &smime.Opened{Message: msg, Report: unchecked(smime.Report{})}
	}
	options := smime.OpenOptions{Checker: g.Checker, Revocation: g.Inbound.Revocation, At: g.Clock()}
	if g.Inbound.Decrypt {
		options.Keys = g.Keys
	}
	opened := smime.Open(ctx, msg, options)
	if !g.Inbound.Verify {
		opened.Report = unchecked(opened.Report)
	}
	return opened
}

// unchecked says nothing of signatures.
func unchecked(r smime.Report) smime.Report {
	r.Result, r.Reason, r.Signers = certs.None, "not checked", nil
	return r
}
