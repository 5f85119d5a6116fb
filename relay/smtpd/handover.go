package smtpd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
)

const (
	// maxParallel is how many copies of one message are handed over at once.
	maxParallel = 12
	// maxHelpers is how many connections to the next hop a listener may have beyond one
	// for each session. Without a helper a session hands over one copy after the other.
	maxHelpers = 32
)

// handOverAll delivers all, a few at once, and returns their answers in order.
func (s *session) handOverAll(ctx context.Context, all []relay.Delivery) [][]error {
	answers := make([][]error, len(all))
	var taken atomic.Int64
	work := func() {
		for n := int(taken.Add(1)) - 1; n < len(all); n = int(taken.Add(1)) - 1 {
			answers[n] = s.handOver(ctx, all[n])
		}
	}
	spare := s.client.server.helpers
	var helpers sync.WaitGroup
	for range min(len(all), maxParallel) - 1 {
		if !spare.TryAcquire(1) {
			break
		}
		helpers.Go(func() {
			defer spare.Release(1)
			work()
		})
	}
	work()
	helpers.Wait()
	return answers
}

// handOver delivers d and makes sure that there is one answer a recipient; a panic is
// none.
func (s *session) handOver(ctx context.Context, d relay.Delivery) (errs []error) {
	err := guard.Do(s.config().Log, "delivery", func() error {
		errs, _ = s.config().Deliverer.Deliver(ctx, d)
		if len(errs) != len(d.Recipients) {
			return fault.Of(fmt.Errorf("%d results for %d recipients", len(errs), len(d.Recipients)))
		}
		return nil
	})
	if err == nil {
		return errs
	}
	errs = make([]error, len(d.Recipients))
	for i := range errs {
		errs[i] = err
	}
	return errs
}
