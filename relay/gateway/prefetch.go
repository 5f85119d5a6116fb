package gateway

import (
	"context"
	"sync"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxPrefetch is how many lookups may run ahead of their messages at once. What
// is over it is looked up when the message has arrived.
const maxPrefetch = 32

// prefetch looks recipients up while the client is still naming others: the
// directory's cache has the answer by the time it is needed.
type prefetch struct {
	finder directory.Finder
	slots  chan struct{}
	ctx    context.Context //nolint:containedctx // ends with Close, not with a call
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

func (p *prefetch) init(f directory.Finder) {
	p.finder = f
	p.slots = make(chan struct{}, maxPrefetch)
	p.ctx, p.cancel = context.WithCancel(context.Background())
}

// start begins a lookup if there is a free slot.
func (p *prefetch) start(a address.Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	select {
	case p.slots <- struct{}{}:
	default:
		return
	}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		p.finder.Lookup(p.ctx, a)
	})
}

func (p *prefetch) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
}
