package gateway

import (
	"context"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxPrefetch is how many lookups may run ahead of their messages at once. What
// is over it is looked up when the message has arrived.
const maxPrefetch = 32

// prefetch looks recipients up while the client is still naming others: the
// directory's cache has the answer by the time it is needed.
type prefetch struct {
	*background.Runner
	finder directory.Finder
	slots  chan struct{}
}

// start begins a lookup, unless its answer is known already or there is no free slot.
func (p *prefetch) start(a address.Address) {
	if p.finder.Remembers(a) {
		return
	}
	select {
	case p.slots <- struct{}{}:
	default:
		return
	}
	leave := func() { <-p.slots }
	if !p.Go(func(ctx context.Context) {
		defer leave()
		p.finder.Lookup(ctx, a)
	}) {
		leave()
	}
}
