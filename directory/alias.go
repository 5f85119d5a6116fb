package directory

import (
	"context"
	"fmt"

	"github.com/smimerelay/smimerelay/smime/address"
)

// SameOwner implements Groups.
func (d *Directory) SameOwner(ctx context.Context, a, b address.Address) (bool, error) {
	return d.groups.owners.ask(ctx, d, keyOf(a.Key(address.ExactCase), b.Key(address.ExactCase)), func(ctx context.Context) (bool, error) {
		same, err := d.sameOwner(ctx, a, b)
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "aliases could not be looked up", "address", a, "error", err)
		}
		return same, err
	})
}

// sameOwner asks the sources that are for the domains of both: one that knows the
// owner is enough.
func (d *Directory) sameOwner(ctx context.Context, a, b address.Address) (bool, error) {
	for _, s := range d.sources {
		g := s.groups()
		if g == nil || !s.domains.match(a.Domain()) || !s.domains.match(b.Domain()) {
			continue
		}
		if same, err := g.sameOwner(ctx, a, b); err != nil || same {
			if err != nil {
				err = fmt.Errorf("%s: %w", s.Name(), err)
			}
			return same, err
		}
	}
	return false, nil
}

// withAliases leaves those aliases that the source may speak for, and notes them: a
// certificate that names no recipient is used because of them.
func (s source) withAliases(found Finding, addr address.Address) Finding {
	var own []address.Address
	for _, a := range found.Aliases {
		if s.domains.match(a.Domain()) {
			own = append(own, a)
			found.note("%q is an alias of %q", a, addr)
		}
	}
	found.Aliases = own
	return found
}
