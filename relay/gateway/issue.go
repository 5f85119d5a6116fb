package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

var errOtherName = errors.New("the issued identity does not name the address")

// Issuer makes identities for local senders who have none. It is asked only for
// clients that may sign as the sender, where a rule says so. It must be safe for
// concurrent use, and bound how many it makes: a client that may write in the name
// of a whole domain can ask for any number.
type Issuer interface {
	// Issue returns an identity that signs for an address and is not Due: the one
	// that is there, or a new one. An error that is certs.ErrOrdered means that one is
	// on its way.
	Issue(ctx context.Context, a address.Address) (*certs.Identity, error)
	// Due reports whether an identity is one of its own and so near its end that it
	// should be followed by another.
	Due(ctx context.Context, id *certs.Identity) bool
	// Ready says why nothing can be issued for an address, or is not yet; nil where it can.
	Ready(ctx context.Context, a address.Address) error
}

// issue completes what is known of the sender's own identity: where a rule asks,
// one that is missing is made, and one near its end is followed by another. An
// explanation makes nothing.
func (g *Gateway) issue(ctx context.Context, e *evidence, needs enforce.Needs, from address.Address, own enforce.IdentityFacts) enforce.IdentityFacts {
	switch {
	case g.Issuer == nil || !needs.Issuable || !g.own(from):
		return own
	case own.State == enforce.Available:
		if needs.Issue && !e.purpose.explains() && g.Issuer.Due(ctx, e.identities[""]) {
			g.renew(ctx, e, from)
		}
		return own
	case own.State != enforce.None:
		return own
	}
	if e.purpose.explains() || !needs.Issue {
		if err := g.Issuer.Ready(ctx, from); err != nil {
			own.Reason += ", and none can be issued: " + err.Error()
			return own
		}
		e.facts.Issuable = true
		return own
	}
	id, err := g.issueFor(ctx, from)
	if err != nil {
		own.Reason += ", and none can be issued now"
		if errors.Is(err, certs.ErrOrdered) {
			own.Reason += "; one was ordered"
		}
		return own
	}
	e.identities[""] = id
	return enforce.IdentityFacts{State: enforce.Available}
}

// renew replaces an identity that ends soon. Where that fails the old one signs
// on: it is still valid.
func (g *Gateway) renew(ctx context.Context, e *evidence, from address.Address) {
	if id, err := g.issueFor(ctx, from); err == nil {
		e.identities[""] = id
	}
}

// issueFor has an identity made and looks whether it is one of the address: the
// reply that a client gets does not tell what is wrong with our authority, the log
// does.
func (g *Gateway) issueFor(ctx context.Context, a address.Address) (*certs.Identity, error) {
	id, err := g.Issuer.Issue(ctx, a)
	if err == nil && !g.named(id, a) {
		err = errOtherName
	}
	if errors.Is(err, certs.ErrOrdered) {
		g.Log.Info("identity not there yet", "address", a.String(), "error", err)
		return nil, err
	}
	if err != nil {
		g.Log.Error("no identity could be issued", "address", a.String(), "error", err)
		return nil, err
	}
	return id, nil
}

// named reports whether an identity names an address by the rule in force.
func (g *Gateway) named(id *certs.Identity, a address.Address) bool {
	return slices.ContainsFunc(certs.Addresses(id.Certificate), func(named address.Address) bool { return named.Equal(a, g.LocalPart) })
}
