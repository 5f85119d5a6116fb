package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// openQueue opens the queue where a listener needs it, or a rule, or what is in it
// from before: behind LMTP the MTA keeps what is not delivered.
func (s *Service) openQueue(ctx context.Context, c *config.Config) error {
	if s.queue != nil || !needsQueue(c) && !s.leftOver(ctx, c.Queue.Path) {
		return nil
	}
	q, err := queue.Open(ctx, queue.Config{
		Path: config.Place(c.Queue.Path), Deliverer: nextHop{service: s}, Retry: c.Queue.Retry, Lifetime: c.Queue.Lifetime,
		Workers: c.Queue.Workers, MaxSize: c.Queue.MaxSize, MinFree: minFree(c), Decider: exchangeable{&s.current}, NotifyDelay: c.Queue.NotifyDelay, Log: s.log, Clock: s.options.Clock,
		Recheck: c.Queue.HoldRecheck, Memory: s.memory,
	})
	if err != nil {
		return err
	}
	s.setQueue(q)
	return nil
}

// minFree is how much of the disk the queue leaves alone, as queue.Config has it.
func minFree(c *config.Config) int64 {
	if c.Queue.MinFree == 0 {
		return -1
	}
	return int64(c.Queue.MinFree)
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
		s.log.Warn("closing the queue failed", "error", err)
	}
	s.setQueue(nil)
}

// leftOver reports whether there is mail in the queue of a configuration that
// needs none any more: it would never leave, and no one would be notified.
func (s *Service) leftOver(ctx context.Context, path string) bool {
	if _, err := os.Stat(config.Place(path)); err != nil {
		return false
	}
	store, err := queue.OpenStore(path)
	if err != nil {
		s.log.Warn("the existing queue cannot be read", "error", err)
		return false
	}
	queued, err := store.Len(ctx)
	held, heldErr := store.CountHeld(ctx)
	if err = errors.Join(err, heldErr, store.Close()); err != nil {
		s.log.Warn("the existing queue cannot be read", "error", err)
	}
	return queued+held.Waiting+held.Quarantined > 0
}

// needsQueue reports whether a configuration uses the queue.
func needsQueue(c *config.Config) bool {
	for _, r := range c.Rules {
		if r.NoCertificate == "hold" {
			return true
		}
	}
	for _, r := range c.InboundRules {
		if r.OnResult == "quarantine" || r.OnResult == "reject" { // see enforce.InboundPolicy.Decide
			return true
		}
	}
	for _, l := range c.Listeners {
		if l.Protocol != "lmtp" {
			return true
		}
	}
	return false
}

// relayQueue is the queue for the listeners: nil, and not a nil pointer in an
// interface, where there is none.
func (s *Service) relayQueue() relay.Queue {
	if s.queue == nil {
		return nil
	}
	return s.queue
}

// held is how many messages are held, for the metrics.
func (s *Service) held() float64 {
	return float64(s.countHeld().Waiting)
}

// quarantined is how many messages are in quarantine.
func (s *Service) quarantined() float64 { return float64(s.countHeld().Quarantined) }

// heldAge is for how long the oldest of them is, in seconds.
func (s *Service) heldAge() float64 {
	n := s.countHeld()
	if n.Oldest.IsZero() {
		return 0
	}
	return s.options.Clock().Sub(n.Oldest).Seconds()
}

func (s *Service) countHeld() queue.HeldCount {
	q := s.openedQueue()
	if q == nil {
		return queue.HeldCount{}
	}
	n, err := q.CountHeld(context.Background())
	if err != nil {
		s.log.Warn("counting held messages failed", "error", err)
	}
	return n
}

// queueTime is how long the queue may take to tell whether it works.
const queueTime = 5 * time.Second

// queueReady returns nil unless there is a queue that cannot store messages.
func (s *Service) queueReady() error {
	q := s.openedQueue()
	if q == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), queueTime)
	defer cancel()
	return q.Ready(ctx)
}

// queueUp is the same for the metrics.
func (s *Service) queueUp() float64 {
	if s.queueReady() != nil {
		return 0
	}
	return 1
}

// queued is the depth of the queue, for the metrics.
func (s *Service) queued() float64 {
	q := s.openedQueue()
	if q == nil {
		return 0
	}
	n, err := q.Len(context.Background())
	if err != nil {
		s.log.Warn("counting queued messages failed", "error", err)
	}
	return float64(n)
}
