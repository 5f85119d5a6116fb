package nexthop

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// limits are how many messages a destination gets at once, and in a minute.
type limits struct {
	concurrency int
	interval    time.Duration
	clock       func() time.Time

	mu    *sync.Mutex
	gates map[string]*gate
}

// unlimited is a concurrency that is never reached.
const unlimited = math.MaxInt32

type gate struct {
	seats chan struct{}
	users int
	next  time.Time
}

func newLimits(concurrency, rate int, clock func() time.Time) limits {
	l := limits{concurrency: concurrency, clock: clock, mu: new(sync.Mutex), gates: map[string]*gate{}}
	if concurrency <= 0 {
		l.concurrency = unlimited // takes no memory: a seat has no size
	}
	if rate > 0 {
		l.interval = time.Minute / time.Duration(rate)
	}
	return l
}

// LongestWait is how long a client waits for a turn. Then it is asked to come again: it
// can wait better than a connection can.
const LongestWait = time.Minute

// Turn takes the turn of a message for a destination, if it is now; done ends it.
// Otherwise done is nil, and wait how long the rate keeps it from being so; 0 is until
// another turn ends.
func (n *NextHop) Turn(domain string) (done func(), wait time.Duration) {
	return n.limits.enter(domain)
}

// AwaitTurn is Turn for a message that a client waits for: it waits, but not for longer
// than LongestWait, or than ctx allows.
func (n *NextHop) AwaitTurn(ctx context.Context, domain string) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, LongestWait)
	defer cancel()
	deadline, _ := ctx.Deadline()
	return n.limits.await(ctx, domain, time.Until(deadline))
}

func (l *limits) enter(destination string) (done func(), wait time.Duration) {
	if l.none() {
		return func() {}, 0
	}
	g := l.gate(destination)
	select {
	case g.seats <- struct{}{}:
	default:
		l.leave(destination, g)
		return nil, 0
	}
	done = func() { <-g.seats; l.leave(destination, g) }
	if wait = l.turn(g, 0); wait > 0 {
		done()
		return nil, wait
	}
	return done, 0
}

func (l *limits) await(ctx context.Context, destination string, most time.Duration) (done func(), err error) {
	if l.none() {
		return func() {}, nil
	}
	g := l.gate(destination)
	select {
	case g.seats <- struct{}{}:
	case <-ctx.Done():
		l.leave(destination, g)
		return nil, tooMany(ctx)
	}
	done = func() { <-g.seats; l.leave(destination, g) }
	wait := l.turn(g, most)
	if wait > most {
		done()
		return nil, (&relay.NotYet{After: wait}).Wait()
	}
	if err := sleep(ctx, wait); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// none reports whether there are no limits.
func (l *limits) none() bool { return l.concurrency == unlimited && l.interval == 0 }

// turn is how long a message must wait so that those before it keep their distance. It
// has that turn unless it is later than after most.
func (l *limits) turn(g *gate, most time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	at := g.next
	if at.Before(now) {
		at = now
	}
	wait := at.Sub(now)
	if wait <= most {
		g.next = at.Add(l.interval)
	}
	return wait
}

func (l *limits) gate(destination string) *gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[destination]
	if g == nil {
		l.sweep()
		g = &gate{seats: make(chan struct{}, l.concurrency)}
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
