package gateway

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/smime/address"
)

// countingFinder counts lookups, and remembers one address.
type countingFinder struct {
	known   address.Address
	lookups atomic.Int32
}

func (f *countingFinder) Lookup(context.Context, address.Address) directory.Result {
	f.lookups.Add(1)
	return directory.Result{Outcome: directory.None}
}

func (f *countingFinder) Remembers(a address.Address) bool { return a == f.known }

// TestPrefetchOfWhatIsKnown: what the directory remembers is not looked up ahead.
func TestPrefetchOfWhatIsKnown(t *testing.T) {
	w := newWorld(t)
	known, other := w.addr("known@enc.example"), w.addr("other@enc.example")
	f := &countingFinder{known: known}
	p := prefetch{background.New(slog.New(slog.DiscardHandler), "lookup"), f, make(chan struct{}, maxPrefetch)}
	p.start(known)
	p.start(other)
	// The slot of the other lookup is free again when it is done.
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.Close()
	if n := f.lookups.Load(); n != 1 {
		t.Errorf("%d lookups, want the one of what is not known", n)
	}
}
