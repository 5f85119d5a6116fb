package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// settle decides and carries the plan out. If a certificate turns out not to serve
// though its lookup found it usable, the decision is made again without it: its
// owner is a recipient without a certificate, and delays no other. adapt makes of a
// plan what can be done of it now.
func (g *Gateway) settle(ctx context.Context, env *relay.Envelope, msg *message.Message, e *evidence,
	adapt func(enforce.Plan) enforce.Plan,
) (enforce.Plan, *answer.Outcome, error) {
	for {
		_, span := tracing.Start(ctx, "decide")
		plan := g.decide(g.Policy, &e.facts)
		err := g.Policy.Check(&e.facts, plan)
		span.End(err)
		if err != nil {
			return plan, nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
		}
		plan = adapt(plan)
		o, err := g.carryOut(ctx, env, msg, e, plan)
		unfit, ok := errors.AsType[*cms.RecipientError](err)
		if !ok || !e.withdraw(unfit) {
			return plan, o, err
		}
		g.Log.Warn("encryption to a certificate failed; the decision is repeated without it", "id", env.ID, "error", unfit)
	}
}

// withdraw takes a certificate out of the facts, and reports whether it was there.
func (e *evidence) withdraw(unfit *cms.RecipientError) bool {
	fp := fingerprint(unfit.Certificate)
	found := false
	without := func(c enforce.CertificateFacts) enforce.CertificateFacts {
		i := slices.Index(c.Usable, fp)
		if i < 0 {
			return c
		}
		found = true
		if c.Usable = slices.Delete(slices.Clone(c.Usable), i, i+1); len(c.Usable) == 0 {
			return enforce.CertificateFacts{State: enforce.None, Reason: "unsupported key"}
		}
		return c
	}
	for i := range e.facts.Recipients {
		r := &e.facts.Recipients[i]
		r.Certificate, r.Domain = without(r.Certificate), without(r.Domain)
	}
	for name, c := range e.facts.Further {
		e.facts.Further[name] = without(c)
	}
	return found
}
