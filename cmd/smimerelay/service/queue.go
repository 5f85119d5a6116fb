package service

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// openQueue opens the queue where a door needs it: behind LMTP the MTA keeps
// what is not delivered.
func (s *Service) openQueue(ctx context.Context, c *config.Config) error {
	if s.queue != nil || !NeedsQueue(c) {
		return nil
	}
	q, err := queue.Open(ctx, queue.Config{
		Path: c.Queue.Path, Deliverer: nextHop{service: s}, Retry: c.Queue.Retry, Lifetime: c.Queue.Lifetime,
		Workers: c.Queue.Workers, MaxSize: c.Queue.MaxSize, Bounce: s.bounce, Log: s.log, Clock: s.options.Clock,
	})
	if err != nil {
		return err
	}
	s.setQueue(q)
	return nil
}

func (s *Service) setQueue(q *queue.Queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = q
}

// openedQueue is the queue for others than the goroutine of Run; nil where there
// is none.
func (s *Service) openedQueue() *queue.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue
}

// startQueue begins to deliver. It comes after the parts are in use: what waits
// in the queue from before goes out at once, by them.
func (s *Service) startQueue() {
	if err := s.queue.Start(context.Background()); err != nil {
		s.failed <- fmt.Errorf("queue: %w", err)
	}
}

// dropQueue closes a queue that was opened for a change that failed.
func (s *Service) dropQueue() {
	if err := s.queue.Stop(context.Background()); err != nil {
		s.log.Warn("closing the queue", "error", err)
	}
	s.setQueue(nil)
}

// NeedsQueue reports whether a configuration uses the queue.
func NeedsQueue(c *config.Config) bool {
	for _, l := range c.Listeners {
		if l.Protocol != "lmtp" {
			return true
		}
	}
	return false
}

// relayQueue is the queue for the doors: nil, and not a nil pointer in an
// interface, where there is none.
func (s *Service) relayQueue() relay.Queue {
	if s.queue == nil {
		return nil
	}
	return s.queue
}

// bounce writes the report on recipients that the queue gave up.
func (s *Service) bounce(d relay.Delivery, failed []relay.Refusal) (relay.Delivery, bool, error) {
	p, release := s.use()
	defer release()
	env := &relay.Envelope{ID: rand.Text(), Sender: d.Sender, Recipients: d.Recipients, Params: d.Params}
	return p.Gateway.Report(env, d.Message, failed)
}

// queued is the depth of the queue, for the metrics.
func (s *Service) queued() float64 {
	q := s.openedQueue()
	if q == nil {
		return 0
	}
	n, err := q.Len(context.Background())
	if err != nil {
		s.log.Warn("counting the queue", "error", err)
	}
	return float64(n)
}
