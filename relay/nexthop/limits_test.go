package nexthop

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// clock is one that a test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Unix(1000, 0)} }

// take takes the turn of the queue, which has to be now.
func take(t *testing.T, l *limits, destination string) (done func()) {
	t.Helper()
	done, wait := l.enter(destination)
	if done == nil {
		t.Fatalf("%s: no turn of the queue, or after %v", destination, wait)
	}
	return done
}

// asksInVain has the queue ask in vain; its turn is not before wait.
func asksInVain(t *testing.T, l *limits, destination string, wait time.Duration) {
	t.Helper()
	if done, got := l.enter(destination); done != nil || got != wait {
		t.Fatalf("%s: the queue has a turn, or one after %v, want %v", destination, got, wait)
	}
}

// waiting is how many clients wait.
func waiting(l *limits, destination string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.gates[destination]; g != nil {
		return len(g.clients)
	}
	return 0
}

// waitsFor has a client wait, and returns when it is in line; its turn comes by the channel.
func waitsFor(t *testing.T, l *limits, destination string) <-chan func() {
	t.Helper()
	turn, before := make(chan func(), 1), waiting(l, destination)
	go func() {
		done, err := l.await(context.Background(), destination, LongestWait)
		if err != nil {
			t.Error(err)
		}
		turn <- done
	}()
	wiretest.Until(t, "a client to be in line", func() bool { return waiting(l, destination) > before })
	return turn
}

// noTurn wants that a client waits, as far as can be seen.
func noTurn(t *testing.T, turn <-chan func()) {
	t.Helper()
	select {
	case <-turn:
		t.Fatal("a client has the turn of the queue, or a seat that is taken")
	default:
	}
}

func TestConcurrency(t *testing.T) {
	l := newLimits(1, 0, newClock().time, nil)
	leave := take(t, &l, "a")
	asksInVain(t, &l, "a", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.await(ctx, "a", time.Minute); !relay.Untried(err) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := l.await(t.Context(), "a", 0); !relay.Untried(err) {
		t.Errorf("two at once: %v", err)
	}
	take(t, &l, "b")()
	leave()
	leave() // once is enough
	// What is free now is had without any patience.
	again, err := l.await(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	again()
	if len(l.gates) != 0 {
		t.Errorf("%d gates are kept", len(l.gates))
	}
}

func TestRate(t *testing.T) {
	now := newClock()
	l := newLimits(0, 60, now.time, nil)
	for range 3 {
		take(t, &l, "a")()
		asksInVain(t, &l, "a", time.Second)
		// What does not wait for so long takes no turn from others.
		_, err := l.await(t.Context(), "a", time.Second/2)
		if n, ok := errors.AsType[*relay.NotYet](err); !ok || n.After != time.Second || relay.ReplyFor(err).Code != 451 {
			t.Errorf("a client that would wait for too long: %v", err)
		}
		now.advance(time.Second)
	}
	now.advance(time.Minute)
	done, err := l.await(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	done()
	asksInVain(t, &l, "a", time.Second) // a minute without mail is no credit
}

// Clients that come faster than a destination takes mail leave the queue every other turn,
// and the queue leaves them the others.
func TestQueueAndClientsTakeTurns(t *testing.T) {
	now, freed := newClock(), make(chan string, 100)
	l := newLimits(1, 0, now.time, func(d string) {
		select {
		case freed <- d:
		default:
		}
	})
	done := take(t, &l, "a")
	asksInVain(t, &l, "a", 0)
	clients := []<-chan func(){waitsFor(t, &l, "a"), waitsFor(t, &l, "a"), waitsFor(t, &l, "a")}
	for i, client := range clients {
		done() // the queue's turn
		asksInVain(t, &l, "a", 0)
		clientDone := <-client
		if i+1 == len(clients) {
			clientDone()
			break
		}
		for len(freed) > 0 {
			<-freed
		}
		clientDone()
		if d := <-freed; d != "a" {
			t.Fatalf("the queue learns of %q", d)
		}
		noTurn(t, clients[i+1])
		done = take(t, &l, "a")
		asksInVain(t, &l, "a", 0) // its next one, at once, is not before that of a client
	}
	if d := <-freed; d != "a" {
		t.Errorf("the queue learns of %q", d)
	}
	take(t, &l, "a")()
}

// The same holds of turns that are some time apart.
func TestQueueAndClientsTakeTurnsByRate(t *testing.T) {
	now := newClock()
	l := newLimits(0, 60*1000, now.time, nil) // a millisecond apart
	take(t, &l, "a")()
	asksInVain(t, &l, "a", time.Millisecond)
	client, second := waitsFor(t, &l, "a"), waitsFor(t, &l, "a")
	now.advance(time.Millisecond)
	(<-client)()
	now.advance(time.Millisecond)
	noTurn(t, second)
	take(t, &l, "a")()
	now.advance(time.Millisecond)
	(<-second)()
}

// A turn that is kept for the queue is a client's if the queue does not come.
func TestQueueThatDoesNotCome(t *testing.T) {
	now, freed := newClock(), make(chan string, 10)
	l := newLimits(1, 0, now.time, func(d string) { freed <- d })
	first, err := l.await(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	asksInVain(t, &l, "a", 0)
	client := waitsFor(t, &l, "a")
	first()
	<-freed // the client knows whose turn it is
	noTurn(t, client)
	now.advance(claimWithin)
	(<-client)()
	if len(l.gates) != 0 {
		t.Errorf("%d gates are kept", len(l.gates))
	}
}

// A client that goes away leaves its place to the next.
func TestClientThatGoesAway(t *testing.T) {
	l := newLimits(1, 0, newClock().time, nil)
	done, err := l.await(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := l.await(ctx, "a", time.Hour)
		gone <- err
	}()
	wiretest.Until(t, "the first client to be in line", func() bool { return waiting(&l, "a") == 1 })
	next := waitsFor(t, &l, "a")
	cancel()
	if err := <-gone; !relay.Untried(err) {
		t.Errorf("a client that goes away: %v", err)
	}
	done()
	(<-next)()
}
