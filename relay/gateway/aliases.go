package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// claim is what makes an identity one of a recipient's mailbox.
type claim struct {
	mine bool
	// alias is the address that the certificate names, where only a directory says that
	// it is one of the same mailbox.
	alias address.Address
	// conflict says why a directory does not.
	conflict string
}

// claimOn finds out whether the certificate of an identity names the mailbox of a
// recipient: its address, that without the extension, or another one that a directory
// lists for the same entry.
func (g *Gateway) claimOn(ctx context.Context, identity *certs.Identity, to address.Address) (claim, error) {
	named := certs.Addresses(identity.Certificate)
	for _, a := range named {
		if a.SameMailbox(to, g.LocalPart, g.Delimiters) {
			return claim{mine: true}, nil
		}
	}
	var c claim
	for _, a := range named {
		of, err := g.ownership(ctx, a, to)
		if of.Same || err != nil {
			return claim{mine: of.Same, alias: a}, err
		}
		if c.conflict == "" {
			c.conflict = of.Conflict
		}
	}
	return c, nil
}

// ownership asks the directories whether an address in a local domain is another one
// of a mailbox: only local recipients have their mail decrypted, and only local authors
// have it signed. The extension of the mailbox's address does not count, unless a
// directory lists it.
func (g *Gateway) ownership(ctx context.Context, a, mailbox address.Address) (directory.Ownership, error) {
	if g.Groups == nil || !g.own(a) {
		return directory.Ownership{}, nil
	}
	var found directory.Ownership
	for _, form := range g.forms(mailbox) {
		of, err := g.Groups.SameOwner(ctx, form, a)
		if err != nil {
			return directory.Ownership{}, fmt.Errorf("aliases of %q: %w", mailbox, err)
		}
		if of.Same {
			return of, nil
		}
		if found.Conflict == "" {
			found = of
		}
	}
	return found, nil
}

// forms returns an address and, if it has an extension, the one without.
func (g *Gateway) forms(a address.Address) []address.Address {
	if mailbox, ok := a.WithoutExtension(g.Delimiters); ok {
		return []address.Address{a, mailbox}
	}
	return []address.Address{a}
}

// note says of each recipient of a group for whom the message was decrypted by an alias
// alone which one that is: for the log and for explain.
func (k *keyRing) note(in *arrival, group readers) {
	if !group.opened.Decrypted {
		return
	}
	for i, r := range k.recipients {
		if alias := k.aliasOf(i); group.has(r) && !alias.IsNull() {
			in.notes[r.Address.String()] = fmt.Sprintf("decrypted with the identity of %s: %s is the same mailbox", alias, r.Address)
		}
	}
}

// aliasOf returns the address by which a recipient, by its place, may use the identities
// that were asked for; null if one of them names the recipient, or none may be used.
func (k *keyRing) aliasOf(i int) address.Address {
	alias := address.Null
	for _, identity := range k.used {
		switch c := k.claims[fingerprint(identity.Certificate)][i]; {
		case c.mine && c.alias.IsNull():
			return address.Null
		case c.mine && alias.IsNull():
			alias = c.alias
		}
	}
	return alias
}

// conflicts says why addresses of a group are ambiguous in a directory.
func (k *keyRing) conflicts(group readers) []string {
	var list []string
	for i, r := range k.recipients {
		for _, claims := range k.claims {
			if c := claims[i]; group.has(r) && c.conflict != "" {
				list = append(list, c.conflict)
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxListed)]
}

// has reports whether a recipient is in a group.
func (group readers) has(r relay.Recipient) bool {
	return slices.ContainsFunc(group.recipients, func(m relay.Recipient) bool { return m.Address == r.Address })
}
