package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/address"
)

// Expansion is what stands for a group's address.
type Expansion struct {
	// Members are the mailboxes of the group and of the groups in it, each once.
	Members []address.Address
	// Notes are what an administrator should know: members without an address.
	Notes []string
}

// expander is a source that knows groups.
type expander interface {
	// Expand returns the members of the group addr. It errs when they can not
	// all be had: a member left out would be a message lost.
	Expand(ctx context.Context, addr address.Address) (Expansion, error)
}

// Expand returns the members of the group that Result.Group says r's address is.
func (d *Directory) Expand(ctx context.Context, addr address.Address, r Result) (Expansion, error) {
	for _, s := range d.sources {
		if e, ok := s.Source.(expander); ok && s.Name() == r.Group {
			ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
			defer cancel()
			x, err := e.Expand(ctx, addr)
			if err != nil {
				return Expansion{}, fmt.Errorf("group %q: %w", addr, err)
			}
			return x, nil
		}
	}
	return Expansion{}, fmt.Errorf("group %q: %w", addr, errNoGroup)
}

var errNoGroup = errors.New("no source knows it as a group")
