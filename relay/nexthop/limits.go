package nexthop

import (
	"context"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// limits bound what one destination gets at once, and in a minute. Who comes too early
// waits, as long as the context allows.
type limits struct {
	concurrency int
	interval    time.Duration
	clock       func() time.Time

	mu    *sync.Mutex
	gates map[string]*gate
}

type gate struct {
	seats chan struct{} // nil: any number
	users int
	next  time.Time
}

func newLimits(concurrency, rate int, clock func() time.Time) limits {
	l := limits{concurrency: concurrency, clock: clock, mu: new(sync.Mutex), gates: map[string]*gate{}}
	if rate > 0 {
		l.interval = time.Minute / time.Duration(rate)
	}
	return l
}

// enter waits until a message may be given to a destination. What it returns ends that.
func (l *limits) enter(ctx context.Context, destination string) (func(), error) {
	if l.concurrency <= 0 && l.interval == 0 {
		return func() {}, nil
	}
	g := l.gate(destination)
	leave := func() { l.leave(destination, g) }
	if g.seats != nil {
		select {
		case g.seats <- struct{}{}:
			release := leave
			leave = func() { <-g.seats; release() }
		case <-ctx.Done():
			leave()
			return nil, tooMany(ctx)
		}
	}
	if err := sleep(ctx, l.turn(g)); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// turn is how long a message must wait so that those before it keep their distance.
func (l *limits) turn(g *gate) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	at := g.next
	if at.Before(now) {
		at = now
	}
	g.next = at.Add(l.interval)
	return at.Sub(now)
}

func (l *limits) gate(destination string) *gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[destination]
	if g == nil {
		l.sweep()
		g = &gate{}
		if l.concurrency > 0 {
			g.seats = make(chan struct{}, l.concurrency)
		}
		l.gates[destination] = g
	}
	g.users++
	return g
}

// sweep forgets destinations that no one uses, when there are many.
func (l *limits) sweep() {
	if len(l.gates) < 1024 {
		return
	}
	for name, g := range l.gates {
		if g.users == 0 && !g.next.After(l.clock()) {
			delete(l.gates, name)
		}
	}
}

// leave forgets a destination that no one uses, and whose next turn is now.
func (l *limits) leave(destination string, g *gate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.users--; g.users == 0 && !g.next.After(l.clock()) {
		delete(l.gates, destination)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return tooMany(ctx)
	}
}

func tooMany(ctx context.Context) error {
	return fault.New(fault.NextHop, "too many messages for this destination, try again later", context.Cause(ctx))
}
