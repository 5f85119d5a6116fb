package nexthop

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// limits are how many messages a destination gets at once, and in a minute. Clients that
// wait for their turn and the queue, which asks for one now and then, have every other turn
// where both want it.
type limits struct {
	concurrency int
	interval    time.Duration
	clock       func() time.Time
	// freed learns of a destination at which the queue may have the turn that it asked
	// for in vain. It must not block.
	freed func(destination string)

	mu    *sync.Mutex
	gates map[string]*gate
}

// unlimited is a concurrency that is never reached.
const unlimited = math.MaxInt32

// claimWithin is for how long a turn is kept for the queue. It may have nothing to send
// any more.
const claimWithin = 2 * time.Second

// gate is a destination.
type gate struct {
	users   int       // that have a turn or wait for one
	busy    int       // that have a turn
	next    time.Time // before which no turn begins
	clients []*client // that wait, in their order
	// wanted says that the queue asked in vain since it had a turn, and last that the last
	// turn was its. offered is since when it could have the one it wants; zero if it cannot.
	wanted, last bool
	offered      time.Time
}

// client is one that waits. wake has a value when it is worth to look again.
type client struct{ wake chan struct{} }

func newLimits(concurrency, rate int, clock func() time.Time, freed func(string)) limits {
	l := limits{concurrency: concurrency, clock: clock, freed: freed, mu: new(sync.Mutex), gates: map[string]*gate{}}
	if concurrency <= 0 {
		l.concurrency = unlimited
	}
	if rate > 0 {
		l.interval = time.Minute / time.Duration(rate)
	}
	if freed == nil {
		l.freed = func(string) {}
	}
	return l
}

// LongestWait is how long a client waits for its turns. Then it is asked to come again: it
// can wait better than a connection can.
const LongestWait = time.Minute

// Turn takes the turn of a message of the queue for a destination, if it is now; done ends
// it. Otherwise done is nil, and wait how long the rate keeps it from being so; 0 is until
// another turn ends: Config.Freed learns when to ask again.
func (n *NextHop) Turn(domain string) (done func(), wait time.Duration) {
	return n.limits.enter(domain)
}

// AwaitTurn is Turn for a message that a client waits for: it waits, but not for longer
// than most, or than ctx allows. Its error is relay.NotYet.
func (n *NextHop) AwaitTurn(ctx context.Context, domain string, most time.Duration) (done func(), err error) {
	return n.limits.await(ctx, domain, most)
}

func (l *limits) enter(destination string) (done func(), wait time.Duration) {
	if l.none() {
		return func() {}, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g, now := l.gate(destination), l.clock()
	switch ahead := g.next.Sub(now); {
	case ahead > 0:
		wait = ahead
	case g.busy < l.concurrency && (len(g.clients) == 0 || !g.last):
		l.begin(destination, g, now, true)
		return l.ending(destination, g), 0
	}
	g.wanted = true
	l.leave(destination, g)
	return nil, wait
}

func (l *limits) await(ctx context.Context, destination string, most time.Duration) (done func(), err error) {
	if l.none() {
		return func() {}, nil
	}
	c := &client{wake: make(chan struct{}, 1)}
	g, err := l.join(destination, c, most)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(most)
	defer patience.Stop()
	for {
		begun, wait := l.look(destination, g, c)
		if begun {
			return l.ending(destination, g), nil
		}
		again := time.NewTimer(wait)
		select {
		case <-c.wake:
		case <-again.C:
		case <-patience.C:
			err = new(relay.NotYet).Wait()
		case <-ctx.Done():
			err = new(relay.NotYet).Wait()
		}
		again.Stop()
		if err != nil {
			l.giveUp(destination, g, c)
			return nil, err
		}
	}
}

// none reports whether there are no limits.
func (l *limits) none() bool { return l.concurrency == unlimited && l.interval == 0 }

// join puts a client at the end of those that wait. One that would wait for longer than
// most by the rate alone does not wait at all.
func (l *limits) join(destination string, c *client, most time.Duration) (*gate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gate(destination)
	before := len(g.clients)
	if g.wanted {
		before *= 2
	}
	if wait := max(0, g.next.Sub(l.clock())) + time.Duration(before)*l.interval; wait > most {
		l.leave(destination, g)
		return nil, (&relay.NotYet{After: wait}).Wait()
	}
	g.clients = append(g.clients, c)
	return g, nil
}

// look begins the turn of a client, if it is now. Otherwise wait is when to look again,
// unless it is woken before.
func (l *limits) look(destination string, g *gate, c *client) (begun bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.clients[0] != c || g.busy >= l.concurrency {
		return false, LongestWait
	}
	now := l.clock()
	if ahead := g.next.Sub(now); ahead > 0 {
		return false, ahead
	}
	if g.wanted && !g.last {
		if g.offered.IsZero() {
			g.offered = now
			l.freed(destination)
		}
		if left := g.offered.Add(claimWithin).Sub(now); left > 0 && left <= claimWithin {
			return false, left
		}
		g.wanted = false // it does not come
	}
	g.clients = g.clients[1:]
	l.begin(destination, g, now, false)
	return true, 0
}

// begin begins a turn.
func (l *limits) begin(destination string, g *gate, now time.Time, queue bool) {
	g.busy++
	g.last, g.offered = queue, time.Time{}
	if queue {
		g.wanted = false
	}
	if l.interval > 0 {
		g.next = now.Add(l.interval)
	}
	l.changed(destination, g)
}

// ending returns what ends a turn.
func (l *limits) ending(destination string, g *gate) func() {
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		g.busy--
		l.changed(destination, g)
		l.leave(destination, g)
	})
}

// giveUp removes a client that waits no longer.
func (l *limits) giveUp(destination string, g *gate, c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range g.clients {
		if g.clients[i] == c {
			g.clients = append(g.clients[:i:i], g.clients[i+1:]...)
			break
		}
	}
	l.changed(destination, g)
	l.leave(destination, g)
}

// changed has the client that is first look whether it has its turn. Without clients the
// queue may have the one that it wants.
func (l *limits) changed(destination string, g *gate) {
	switch {
	case len(g.clients) > 0:
		select {
		case g.clients[0].wake <- struct{}{}:
		default:
		}
	case g.wanted && g.busy < l.concurrency:
		l.freed(destination)
	}
}

// gate is that of a destination, with one user more. It is for one who has l.mu.
func (l *limits) gate(destination string) *gate {
	g := l.gates[destination]
	if g == nil {
		l.sweep()
		g = &gate{}
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

// leave forgets a destination that no one uses, and whose next turn is now. It is for one
// who has l.mu.
func (l *limits) leave(destination string, g *gate) {
	if g.users--; g.users == 0 && !g.next.After(l.clock()) {
		delete(l.gates, destination)
	}
}
