package directory

import (
	"context"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Ownership is whether two addresses are those of one mailbox.
type Ownership struct {
	Same bool
	// Conflict says which entries list the addresses, where an entry lists both and
	// another one lists one of them: the address is then ambiguous, and Same false.
	Conflict string
}

// holder is an entry that lists an address.
type holder struct {
	source    string
	dn        string            // as the server wrote it
	addresses []address.Address // all that the entry lists
	// mailbox says that it is one of a person, not a group, a contact or a disabled
	// account.
	mailbox bool
}

// lists reports whether the entry lists an address. Case does not count: neither does
// it for the server.
func (h holder) lists(addr address.Address) bool {
	return slices.ContainsFunc(h.addresses, func(a address.Address) bool { return a.Equal(addr, address.IgnoreCase) })
}

func (h holder) String() string { return fmt.Sprintf("%q (%s)", h.dn, h.source) }

// SameOwner implements Groups.
func (d *Directory) SameOwner(ctx context.Context, a, b address.Address) (Ownership, error) {
	return d.groups.owners.ask(ctx, d, keyOf(a.Key(address.ExactCase), b.Key(address.ExactCase)), func(ctx context.Context) (Ownership, error) {
		same, err := d.sameOwner(ctx, a, b)
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "aliases could not be looked up", "address", a, "error", err)
		}
		return same, err
	})
}

// Aliases implements Groups.
func (d *Directory) Aliases(ctx context.Context, addr address.Address) ([]address.Address, error) {
	return d.groups.aliases.ask(ctx, d, addr.Key(address.ExactCase), func(ctx context.Context) ([]address.Address, error) {
		list, err := d.aliases(ctx, addr)
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "aliases could not be looked up", "address", addr, "error", err)
		}
		return list, err
	})
}

// aliases asks all sources that may speak for an address.
func (d *Directory) aliases(ctx context.Context, addr address.Address) ([]address.Address, error) {
	var list []address.Address
	for _, s := range d.sources {
		holders, err := s.holders(ctx, addr)
		if err != nil {
			return nil, err
		}
		for _, h := range holders {
			for _, a := range h.addresses {
				known := func(b address.Address) bool { return b.Equal(a, address.IgnoreCase) }
				if h.mailbox && s.domains.match(a.Domain()) && !known(addr) && !slices.ContainsFunc(list, known) {
					list = append(list, a)
				}
			}
		}
	}
	return list, nil
}

// holders returns the entries that list an address, if the source has aliases and may
// speak for the address.
func (s source) holders(ctx context.Context, addr address.Address) ([]holder, error) {
	g := s.groups()
	if g == nil || !s.domains.match(addr.Domain()) {
		return nil, nil
	}
	list, err := g.holders(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	return list, nil
}

// sameOwner asks every source that may speak for one of the addresses: another entry
// may list it there.
func (d *Directory) sameOwner(ctx context.Context, a, b address.Address) (Ownership, error) {
	var all []holder
	var owner *holder
	for _, s := range d.sources {
		of, err := s.holders(ctx, a)
		if err != nil {
			return Ownership{}, err
		}
		others, err := s.holders(ctx, b)
		if err != nil {
			return Ownership{}, err
		}
		for _, h := range distinct(append(of, others...)) {
			all = append(all, h)
			speaks := s.domains.match(a.Domain()) && s.domains.match(b.Domain())
			if owner == nil && speaks && h.mailbox && h.lists(a) && h.lists(b) {
				owner = &h
			}
		}
	}
	if owner == nil {
		return Ownership{}, nil
	}
	for _, h := range all {
		if h.contradicts(*owner, a, b) {
			return Ownership{Conflict: fmt.Sprintf("%q and %q are ambiguous: %s lists both, but %s is another entry with one of them", a, b, owner, h)}, nil
		}
	}
	return Ownership{Same: true}, nil
}

// contradicts reports whether an entry makes it ambiguous that owner has both
// addresses. In the same directory any other entry does. In another one it may be the
// same person's: it is if it lists both, or bears the same name.
func (h holder) contradicts(owner holder, a, b address.Address) bool {
	if normalDN(h.dn) == normalDN(owner.dn) {
		return false
	}
	return h.source == owner.source || !h.lists(a) || !h.lists(b)
}

// distinct leaves of the entries with one name the first.
func distinct(list []holder) []holder {
	seen := make(map[string]bool)
	return slices.DeleteFunc(list, func(h holder) bool { return !once(seen, normalDN(h.dn)) })
}

// addAliases adds to what a source found for an address those addresses in its
// certificates that are others of the same mailbox, and notes them: a certificate that
// names no recipient is used because of them.
func (d *Directory) addAliases(ctx context.Context, s source, found *Finding, addr address.Address) error {
	if g := s.groups(); g == nil || !g.hasAliases() {
		return nil
	}
	for _, c := range found.Certificates {
		for _, named := range certs.Addresses(c) {
			known := func(a address.Address) bool { return a.Equal(named, address.IgnoreCase) }
			if known(addr) || slices.ContainsFunc(found.Aliases, known) || !s.domains.match(named.Domain()) {
				continue
			}
			of, err := d.sameOwner(ctx, addr, named)
			switch {
			case err != nil:
				return fmt.Errorf("aliases of %q: %w", addr, err)
			case of.Same:
				found.Aliases = append(found.Aliases, named)
				found.note("%q is an alias of %q", named, addr)
			case of.Conflict != "":
				found.note("%s", of.Conflict)
			}
		}
	}
	return nil
}
