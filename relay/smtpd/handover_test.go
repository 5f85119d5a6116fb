package smtpd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// together is a next hop that answers no delivery before n of them are under way.
type together struct {
	n         int64
	now, most atomic.Int64
	once      sync.Once
	all       chan struct{} // closed then
}

func (h *together) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	n := h.now.Add(1)
	defer h.now.Add(-1)
	for was := h.most.Load(); n > was && !h.most.CompareAndSwap(was, n); was = h.most.Load() {
	}
	if n == h.n {
		h.once.Do(func() { close(h.all) })
	}
	<-h.all
	switch d.Recipients[0].Address.Local() {
	case "x3":
		panic("oh")
	case "x5":
		return nil, nil
	case "x7":
		return []error{fault.New(fault.Refused, "no", nil)}, nil
	}
	return []error{nil}, nil
}

// The copies of a message are handed over over a few connections at once, and each
// recipient gets the answer of its own copy.
func TestCopiesAreHandedOverTogether(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spared int64 // helpers
		want   int64 // deliveries at once
	}{
		{"helpers for all", maxHelpers, maxParallel},
		{"two helpers are left", 2, 3},
		{"no helper is left", 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hop := &together{n: tc.want, all: make(chan struct{})}
			w := start(t, Config{LMTP: true, Handler: handler(t), Deliverer: hop})
			if !w.server.helpers.TryAcquire(maxHelpers - tc.spared) {
				t.Fatal("the helpers are taken")
			}
			p := w.dial()
			p.do("LHLO client.example.org", "250 ")
			p.do("MAIL FROM:<a@example.org>", "250 ")
			for i := range 20 {
				p.do(fmt.Sprintf("RCPT TO:<x%d@example.net>", i), "250 ")
			}
			p.do("DATA", "354 ")
			p.send(text + ".\r\n")
			for i := range 20 {
				want := map[int]string{3: "451 4.3.0", 5: "451 4.3.0", 7: "550 5.0.0"}[i]
				if want == "" {
					want = "250 "
				}
				p.expect(want)
			}
			if n := hop.most.Load(); n != tc.want {
				t.Errorf("%d deliveries at once, want %d", n, tc.want)
			}
		})
	}
}
