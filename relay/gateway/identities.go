package gateway

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Names of the authorities of a domain (RFC 3183 section 2.2).
const (
	domainSigner   = "domain-signing-authority"
	domainReceiver = "domain-confidentiality-authority"
)

// findIdentities looks for the keys that may sign. No key is looked for, let alone
// made, where it is clear or open that none may: that answer is then the one for
// every identity, for what was not asked about would be unknown, and make the message
// wait.
func (g *Gateway) findIdentities(ctx context.Context, e *evidence, needs enforce.Needs) {
	f := &e.facts
	switch {
	case f.Content.Exempt || len(f.From) != 1 || f.SignForbidden != "" || f.SignExempt != "":
		setIdentities(f, needs, enforce.IdentityFacts{State: enforce.None, Reason: "no single author"})
		return
	case f.SignUnknown != "":
		setIdentities(f, needs, enforce.IdentityFacts{State: enforce.Unknown, Reason: f.SignUnknown})
		return
	}
	from := f.From[0]
	own := enforce.IdentityFacts{State: enforce.None, Reason: "no rule signs the message as its sender"}
	if needs.Sender || e.purpose.explains() {
		own = g.issue(ctx, e, needs, from, g.findIdentity(ctx, e, "", from))
		own = g.mailboxIdentity(ctx, e, needs, from, own)
	}
	f.Identity, f.IdentityReason, f.IdentityNote = own.State, own.Reason, own.Note
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

// setIdentities gives one answer for all identities that a decision may ask for.
func setIdentities(f *enforce.Facts, needs enforce.Needs, all enforce.IdentityFacts) {
	f.Identity, f.IdentityReason = all.State, all.Reason
	f.Identities = make(map[string]enforce.IdentityFacts)
	for _, name := range needs.Identities {
		f.Identities[name] = all
	}
}

// findIdentity looks for the key of one address and keeps it under name.
func (g *Gateway) findIdentity(ctx context.Context, e *evidence, name string, a address.Address) enforce.IdentityFacts {
	id, err := g.Keys.Signing(ctx, a)
	switch {
	case err != nil:
		return enforce.IdentityFacts{State: enforce.Unknown, Reason: "the identity of " + a.String() + " cannot be reached"}
	case id == nil:
		reason := "there is no valid identity for " + a.String()
		if why := g.Keys.WhyNot(ctx, a); why != "" {
			reason += ": " + why
		}
		return enforce.IdentityFacts{State: enforce.None, Reason: reason}
	case !g.named(id, a):
		return enforce.IdentityFacts{State: enforce.None, Reason: "the identity found does not name " + a.String()}
	}
	e.identities[name] = id
	return enforce.IdentityFacts{State: enforce.Available}
}
