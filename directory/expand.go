package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Group is a group of a directory with those who stand for its address.
type Group struct {
	// Members are the mailboxes of the group and of the groups in it, each once.
	Members []address.Address
	// Notes are what an administrator should know: members without an address.
	Notes []string
}

var (
	errNoGroup = errors.New("no such group")
	errMailbox = errors.New("the address is not a group")
)

// expanded is a Group, if the address is that of one.
type expanded struct {
	Group
	isGroup bool
}

// Expand returns who stands for addr if it is the address of a group; ok is
// false if it is not. An error means that the answer is unknown, or that not all of
// the members can be had.
func (d *Directory) Expand(ctx context.Context, addr address.Address) (g Group, ok bool, err error) {
	found, err := d.groups.expansions.ask(ctx, d, addr.Key(address.ExactCase), func(ctx context.Context) (expanded, error) {
		return d.expand(ctx, addr)
	})
	return found.Group, found.isGroup, err
}

// expand asks the sources in their order: the first that knows the address
// decides what it is.
func (d *Directory) expand(ctx context.Context, addr address.Address) (expanded, error) {
	for _, s := range d.sources {
		g := s.groups()
		if g == nil || !s.domains.match(addr.Domain()) {
			continue
		}
		x, err := g.Expand(ctx, addr)
		switch {
		case errors.Is(err, errNoGroup):
			continue
		case errors.Is(err, errMailbox):
			return expanded{}, nil
		}
		d.log(ctx, addr, s.Name(), x.Notes, err)
		if err != nil {
			return expanded{}, fmt.Errorf("group %q: %s: %w", addr, s.Name(), err)
		}
		return expanded{x, true}, nil
	}
	return expanded{}, nil
}
