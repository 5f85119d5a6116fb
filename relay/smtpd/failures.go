package smtpd

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

const (
	// maxFailures is after how many failed logins from one address no more are checked,
	// until failureMemory has passed since the last one.
	maxFailures   = 20
	failureMemory = 15 * time.Minute
	// maxRemembered bounds the addresses that are remembered.
	maxRemembered = 10_000
	// maxDelay is how long a client waits at most for the answer to a failed login.
	maxDelay = 8 * time.Second
)

// failures counts failed logins by address: an IPv4 address, or an IPv6 network of 64
// bits, which one client has all of. Of more addresses than it may remember it forgets
// those that failed longest ago.
type failures struct {
	clock func() time.Time

	mu    sync.Mutex
	known map[netip.Prefix]*list.Element // of *failed
	order list.List                      // the last failure first
	// Checks under way count as failures until they have settled.
	checks  map[netip.Prefix]int
	settled sync.Cond
}

// failed is what is known of an address.
type failed struct {
	from netip.Prefix
	n    int
	last time.Time
}

func newFailures(clock func() time.Time) *failures {
	f := &failures{clock: clock, known: map[netip.Prefix]*list.Element{}, checks: map[netip.Prefix]int{}}
	f.settled.L = &f.mu
	return f
}

// begin reports whether a password may be checked, and then settle must be called. Where
// the checks under way may yet be failures too many, it waits for them.
func (f *failures) begin(addr netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := wire.Origin(addr)
	for n := f.failed(from); n+f.checks[from] >= maxFailures; n = f.failed(from) {
		if n >= maxFailures {
			return false
		}
		f.settled.Wait()
	}
	f.checks[from]++
	return true
}

// settle ends a check; its failure, if it is one, has been added.
func (f *failures) settle(addr netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := wire.Origin(addr)
	if f.checks[from]--; f.checks[from] == 0 {
		delete(f.checks, from)
	}
	f.settled.Broadcast()
}

// add counts one and returns how many there are.
func (f *failures) add(addr netip.Addr) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := wire.Origin(addr)
	e := f.valid(from)
	if e == nil {
		e = f.order.PushFront(&failed{from: from})
		f.known[from] = e
	}
	f.order.MoveToFront(e)
	a := e.Value.(*failed)
	a.n++
	a.last = f.clock()
	for len(f.known) > maxRemembered {
		f.forget(f.order.Back())
	}
	return a.n
}

// failed returns how many there are.
func (f *failures) failed(from netip.Prefix) int {
	if e := f.valid(from); e != nil {
		return e.Value.(*failed).n
	}
	return 0
}

// valid returns what is known of an address, unless it is too long ago.
func (f *failures) valid(from netip.Prefix) *list.Element {
	e := f.known[from]
	if e != nil && f.clock().Sub(e.Value.(*failed).last) >= failureMemory {
		f.forget(e)
		return nil
	}
	return e
}

func (f *failures) forget(e *list.Element) {
	f.order.Remove(e)
	delete(f.known, e.Value.(*failed).from)
}

// delayAfter is how long a client waits for the answer to its nth failure.
func delayAfter(n int) time.Duration {
	d := time.Second
	for range min(n, maxFailures) - 1 {
		d = min(2*d, maxDelay)
	}
	return d
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
