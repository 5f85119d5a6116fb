package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/relay/route"
)

// openQueue opens the queue where a listener needs it, or a rule, or what is in it
// from before: behind LMTP the MTA keeps what is not delivered.
func (s *Service) openQueue(ctx context.Context, c *config.Config) error {
	if s.queue != nil {
		return nil
	}
	place, err := QueuePlace(c)
	if err != nil {
		return err
	}
	if !needsQueue(c) && !s.leftOver(ctx, place) {
		return nil
	}
	q, err := queue.Open(ctx, queue.Config{
		Place: place, Destination: s.destination, Turn: s.turn, Deliverer: tracedHop{nextHop{service: s}}, Retry: c.Queue.Retry, Lifetime: c.Queue.Lifetime,
		Workers: c.Queue.Workers, MaxSize: c.Queue.MaxSize, MinFree: minFree(c), Decider: tracedDecider{exchangeable{&s.current}, s}, NotifyDelay: c.Queue.NotifyDelay, Log: s.log, Clock: s.options.Clock,
		Recheck: c.Queue.HoldRecheck, Memory: s.memory, Handed: config.Place(c.Queue.Path) + ".handed",
		GivenUp: func(d relay.Delivery, about []relay.RecipientStatus) { s.recorder.Load().gaveUp(d, about) },
	})
	if err != nil {
		return QueueTrouble(c, err).Error(c.File())
	}
	s.setQueue(q)
	s.warnOfFile(ctx, c)
	return nil
}

// QueuePlace is where the queue of a configuration is: in the database of the store, if
// it has one, and else in a file of its own.
func QueuePlace(c *config.Config) (queue.Place, error) {
	if !c.Store.Shared() {
		return queue.Place{Path: config.Place(c.Queue.Path)}, nil
	}
	password, err := store.ReadPassword(c.Store.PasswordFile)
	if err != nil {
		return queue.Place{}, fmt.Errorf("store.password_file: %w", err)
	}
	return queue.Place{URL: config.Place(c.Store.URL), Password: password}, nil
}

// warnOfFile warns of mail that is in the file of the queue where the queue is in a
// database: it would never leave.
func (s *Service) warnOfFile(ctx context.Context, c *config.Config) {
	if c.Store.Shared() && s.leftOver(ctx, queue.Place{Path: config.Place(c.Queue.Path)}) {
		s.log.Warn("the queue is in the database of [store], and there is mail in the file of [queue] path that is not delivered; move it with smimerelay store migrate",
			"file", c.Queue.Path)
	}
}

// destination names where mail for a recipient goes, so that the queue can keep it
// apart from other mail.
func (s *Service) destination(d *relay.Delivery, r relay.Recipient) string {
	p, release := s.use()
	defer release()
	return p.routes.table.Destination(route.FactsOf(d, r)).String()
}

// turn takes the turn of a delivery at a destination, as queue.Config has it.
func (s *Service) turn(destination string) (done func(), wait time.Duration) {
	p, release := s.use()
	defer release()
	return p.routes.turn(destination)
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
func (s *Service) leftOver(ctx context.Context, place queue.Place) bool {
	if place.URL == "" {
		if _, err := os.Stat(place.Path); err != nil {
			return false
		}
	}
	existing, err := queue.OpenStore(ctx, place)
	if err != nil {
		s.log.Warn("the existing queue cannot be read", "error", err)
		return false
	}
	queued, err := existing.Len(ctx)
	held, heldErr := existing.CountHeld(ctx)
	if err = errors.Join(err, heldErr, existing.Close()); err != nil {
		s.log.Warn("the existing queue cannot be read", "error", err)
	}
	return queued+held.Waiting+held.Quarantined > 0
}

// needsQueue reports whether a configuration uses the queue.
func needsQueue(c *config.Config) bool {
	for _, r := range c.Rules {
		if r.NoCertificate == "hold" || r.NoCertificate == "ask" {
			return true
		}
	}
	for _, r := range c.InboundRules {
		if r.OnResult == "quarantine" || r.OnResult == "reject" { // see enforce.InboundPolicy.Decide
			return true
		}
		if r.Original == "archive" && !filepath.IsAbs(c.Inbound.Archive) { // an address
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
	return tracedQueue{s.queue, s}
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
