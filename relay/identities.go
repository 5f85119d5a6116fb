package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
)

// Names of the authorities of a domain (RFC 3183 section 2.2).
const (
	domainSigner   = "domain-signing-authority"
	domainReceiver = "domain-confidentiality-authority"
)

// findIdentities looks for the keys that may sign.
func (g *Gateway) findIdentities(ctx context.Context, e *evidence, needs enforce.Needs) {
	f := &e.facts
	if f.Content.Exempt || len(f.From) != 1 || f.SignForbidden != "" {
		f.Identity, f.IdentityReason = enforce.None, "no single author"
		return
	}
	if f.SignUnknown != "" {
		// No key is looked for, let alone made, for whom it may not be.
		f.Identity, f.IdentityReason = enforce.Unknown, f.SignUnknown
		return
	}
	from := f.From[0]
	own := g.issue(ctx, e, needs, from, g.findIdentity(ctx, e, "", from))
	f.Identity, f.IdentityReason = own.State, own.Reason
	f.Identities = make(map[string]enforce.IdentityFacts)
	for _, name := range needs.Identities {
		of := name
		if name == enforce.OfDomain {
			of = domainSigner + "@" + from.Domain()
		}
		a, err := address.Parse(of)
		if err != nil {
			f.Identities[name] = enforce.IdentityFacts{State: enforce.None, Reason: "no address for the identity of the rule"}
			continue
		}
		f.Identities[name] = g.findIdentity(ctx, e, name, a)
	}
}

// findIdentity looks for the key of one address and keeps it under name.
func (g *Gateway) findIdentity(ctx context.Context, e *evidence, name string, a address.Address) enforce.IdentityFacts {
	id, err := g.Keys.Signing(ctx, a)
	switch {
	case err != nil:
		return enforce.IdentityFacts{State: enforce.Unknown, Reason: "the identity of " + a.String() + " cannot be reached"}
	case id == nil:
		return enforce.IdentityFacts{State: enforce.None, Reason: "there is no valid identity for " + a.String()}
	case !g.named(id, a):
		return enforce.IdentityFacts{State: enforce.None, Reason: "the identity found does not name " + a.String()}
	}
	e.identities[name] = id
	return enforce.IdentityFacts{State: enforce.Available}
}
