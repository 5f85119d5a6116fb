package relay

import (
	"context"
	"fmt"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
)

// Recipient implements Handler: it refuses whom the rules refuse whatever the
// message, and begins the lookups for the others.
func (g *Gateway) Recipient(ctx context.Context, env *Envelope, r Recipient) (err error) {
	defer g.recovered(env, &err)
	if r.Address.IsNull() {
		return fault.New(fault.BadAddress, "the null path is no recipient", nil)
	}
	if env.Direction != enforce.Outbound {
		return g.inboundRecipient(env, r)
	}
	if err := g.entitle(env); err != nil {
		return err
	}
	facts := enforce.Facts{
		Direction: env.Direction, Sender: env.Sender,
		Client:     enforce.Client{User: env.Client.User, Addr: env.Client.Addr, Listener: env.Listener},
		Recipients: []enforce.RecipientFacts{{Address: r.Address}},
	}
	early := g.Policy.Early(facts)
	switch {
	case !early.Lookup:
		return nil
	case !early.Refusable:
		g.prefetch.start(r.Address)
		return nil
	}
	result := g.lookup(ctx, r.Address)
	facts.Recipients[0].Certificate = enforce.CertificateFacts{State: availability(result.Outcome), Reason: result.Reason()}
	refusal, refused := g.Policy.AtRCPT(facts)
	if !refused {
		return nil
	}
	g.logDecision(env, refusal.Assigned, "refused at RCPT", refusal.Reason)
	return refusalError(refusal)
}

// inboundRecipient keeps the relay from being open (RFC 5321 section 3.6.2). By
// the other doors an MTA has decided that before us.
func (g *Gateway) inboundRecipient(env *Envelope, r Recipient) error {
	if g.listeners[env.Listener].Relay && !g.own(r.Address) {
		return fault.New(fault.Policy, fmt.Sprintf("relaying to %s denied", r.Address), nil)
	}
	return nil
}

// entitle refuses clients that may not send outbound by their listener.
func (g *Gateway) entitle(env *Envelope) error {
	l, ok := g.listeners[env.Listener]
	if ok && l.entitled(env.Client) {
		return nil
	}
	return fault.New(fault.Policy, "this client may not send mail here", nil)
}

// refusalError returns the error of a refused recipient, for ReplyFor.
func refusalError(r enforce.Refusal) error {
	kind := fault.Policy
	switch {
	case r.Temporary && r.Missing == missingSender:
		kind = fault.Held
	case r.Temporary && r.Missing == enforce.MissingIdentity:
		kind = fault.Identity
	case r.Temporary:
		kind = fault.Unavailable
	}
	return fault.New(kind, r.Reason, nil)
}

// availability translates the outcome of a lookup.
func availability(o directory.Outcome) enforce.Availability {
	switch o {
	case directory.Usable:
		return enforce.Available
	case directory.None:
		return enforce.None
	}
	return enforce.Unknown
}
