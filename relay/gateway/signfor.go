package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// SignFor says which identities sign for an author.
type SignFor string

const (
	// ForAuthor has only identities sign whose certificate names the author, as RFC 8550
	// section 3 asks.
	ForAuthor SignFor = "author"
	// ForMailbox has one of another address of the author's mailbox sign if there is
	// none of the author: that without the extension, or an alias. Recipients' mail
	// programs then report that the certificate does not name the author.
	ForMailbox SignFor = "mailbox"
)

// mailboxIdentity looks for the key of another address of the author's mailbox, where
// the author has none and none will be issued.
func (g *Gateway) mailboxIdentity(ctx context.Context, e *evidence, needs enforce.Needs, from address.Address, own enforce.IdentityFacts) enforce.IdentityFacts {
	if g.SignFor != ForMailbox || own.State != enforce.None || needs.Issue && e.facts.Issuable {
		return own
	}
	others, err := g.otherAddresses(ctx, from)
	if err != nil {
		return enforce.IdentityFacts{State: enforce.Unknown, Reason: "the aliases of " + from.String() + " cannot be looked up now"}
	}
	for _, a := range others {
		id, err := g.Keys.Signing(ctx, a)
		switch {
		case err != nil:
			return enforce.IdentityFacts{State: enforce.Unknown, Reason: "the identity of " + a.String() + " cannot be reached"}
		case id == nil || !g.named(id, a):
			e.excuse(from, a, g.Keys.WhyNot(ctx, a))
			continue
		}
		found := g.signsAs(ctx, e, from, a)
		switch found.State {
		case enforce.Available:
			e.identities[""] = id
			e.identityNotes = append(e.identityNotes, found.Note+"; the certificate does not name the author, so mail programs may warn (RFC 8550 section 3)")
			return found
		case enforce.Unknown:
			return found
		}
		own.Reason += "; " + found.Reason
	}
	return own
}

// excuse notes why the identity of another address does not sign.
func (e *evidence) excuse(from, a address.Address, why string) {
	if why != "" {
		e.identityNotes = append(e.identityNotes, fmt.Sprintf("the identity of %s, listed beside %s, is not valid: %s", a, from, why))
	}
}

// signsAs finds out whether the identity of another address signs for an author: both
// are the same mailbox, and the client may send as either.
func (g *Gateway) signsAs(ctx context.Context, e *evidence, from, a address.Address) enforce.IdentityFacts {
	if !a.SameMailbox(from, g.LocalPart, g.Delimiters) {
		of, err := g.ownership(ctx, a, from)
		switch {
		case err != nil:
			return enforce.IdentityFacts{Reason: "the aliases of " + from.String() + " cannot be looked up now"}
		case of.Conflict != "":
			e.identityNotes = append(e.identityNotes, of.Conflict)
			return enforce.IdentityFacts{State: enforce.None, Reason: fmt.Sprintf("several directory entries list %s or %s, so that it is no alias", from, a)}
		case !of.Same:
			return enforce.IdentityFacts{State: enforce.None, Reason: fmt.Sprintf("%s is not listed as an alias of %s", from, a)}
		}
	}
	if e.purpose != hypothetical {
		forbidden, unknown := g.entitlement(ctx, e.facts.Client, a)
		switch {
		case unknown != "":
			return enforce.IdentityFacts{Reason: unknown}
		case forbidden != "":
			return enforce.IdentityFacts{State: enforce.None, Reason: forbidden}
		}
	}
	return enforce.IdentityFacts{State: enforce.Available, Note: fmt.Sprintf("with the identity of %s: %s is the same mailbox", a, from)}
}

// otherAddresses returns the other addresses that the author's mailbox may have, in
// local domains: that without the extension first. A directory is yet to confirm the
// others.
func (g *Gateway) otherAddresses(ctx context.Context, from address.Address) ([]address.Address, error) {
	forms := g.forms(from)
	list := slices.Clone(forms[1:])
	if g.Groups == nil {
		return list, nil
	}
	for _, form := range forms {
		aliases, err := g.Groups.Aliases(ctx, form)
		if err != nil {
			return nil, err
		}
		for _, a := range aliases {
			same := func(b address.Address) bool { return b.Equal(a, address.IgnoreCase) }
			if g.own(a) && !slices.ContainsFunc(list, same) {
				list = append(list, a)
			}
		}
	}
	return list, nil
}
