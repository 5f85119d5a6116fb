package gateway

import (
	"context"
	"log/slog"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
)

// Recipient implements Handler: it refuses whom the rules refuse whatever the
// message, and begins the lookups for the others. Where the message must show who its
// client is, the rules have no answer before it has come, and nothing is looked up.
func (g *Gateway) Recipient(ctx context.Context, env *relay.Envelope, r relay.Recipient) (err error) {
	defer guard.Recover(&err, g.Log, "RCPT", env.ID)
	if r.Address.IsNull() {
		return fault.New(fault.BadAddress, "the null path is not a recipient", nil)
	}
	if g.returns(r.Address) {
		_, err := g.admitReturned(r.Address)
		return err
	}
	if _, ok := g.bounced(env, r.Address); ok {
		return nil
	}
	if g.takesCommands(r.Address) {
		if known, err := g.admitCommand(env); known {
			return err
		}
	}
	if err := g.routed(env, r.Address); err != nil {
		return err
	}
	if g.Direction(env, r.Address) == enforce.Inbound {
		return nil
	}
	if err := g.admit(env, r.Address); err != nil {
		return err
	}
	if g.listeners[env.Listener].Required != "" {
		return nil
	}
	one := *env
	one.Recipients = []relay.Recipient{r}
	facts := g.envelopeFacts(&one, enforce.Outbound)
	early := g.Policy.Early(&facts)
	switch {
	case !early.Lookup:
		return nil
	case !early.Refusable:
		g.prefetch.start(r.Address)
		return nil
	}
	result := g.lookup(ctx, r.Address)
	facts.Recipients[0].Certificate = certificateFacts(result)
	refusal, refused := g.Policy.AtRCPT(&facts)
	if !refused {
		return nil
	}
	g.decided(ctx, slog.LevelInfo, Decision{
		Envelope: env, Assigned: refusal.Assigned, Moment: OnRecipient, Outcome: refusedAtRCPT, Decided: refusedAtRCPT, Reason: refusal.Reason,
		Cause: missing(refusal), Facts: only(&facts, 0),
	})
	return fault.Logged(refusalError(refusal))
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

// certificateFacts are what a lookup came to.
func certificateFacts(r directory.Result) enforce.CertificateFacts {
	c := enforce.CertificateFacts{State: availability(r.Outcome), Reason: r.Reason()}
	if c.State == enforce.Available {
		for _, cert := range r.Certificates {
			c.Usable = append(c.Usable, fingerprint(cert))
		}
	}
	return c
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
