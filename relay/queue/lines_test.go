package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// turns are the limits of slow.example: so many messages may be given to it, and what
// comes earlier is to ask after wait.
type turns struct {
	wait time.Duration

	mu           sync.Mutex
	left         int
	now, most    int
	asked, given int
}

func (s *turns) turn(destination string) (func(), time.Duration) {
	if destination != "slow.example" {
		return func() {}, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.left == 0 {
		return nil, s.wait
	}
	s.left--
	s.given++
	s.now++
	s.most = max(s.most, s.now)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}, 0
}

// allow lets more messages through.
func (s *turns) allow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += n
}

func toSlow(t *testing.T, n int) []relay.Delivery {
	t.Helper()
	var all []relay.Delivery
	for i := range n {
		all = append(all, delivery(t, "a@example.org", fmt.Sprintf("b%03d@slow.example", i)))
	}
	return all
}

// Much mail for a destination that gets one message a minute does not hold up other mail:
// it stands in line without a worker, in its order, without an attempt being counted, and
// also after a restart.
func TestSlowDestination(t *testing.T) { each(t, testSlowDestination) }

func testSlowDestination(t *testing.T) {
	const waiting = 200
	h, slow := newHop(nil), &turns{wait: time.Hour, left: 1}
	c := Config{Place: newPlace(t), Workers: 4, Destination: byDomain, Deliverer: h, Turn: slow.turn}
	q := open(t, c)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), batch(toSlow(t, waiting)...)); err != nil {
		t.Fatal(err)
	}
	if d := h.wait(t); d.Recipients[0].Address.String() != "b000@slow.example" {
		t.Errorf("the first is to %v", d.Recipients)
	}
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "c@works.example"))); err != nil {
		t.Fatal(err)
	}
	if d := h.wait(t); d.Recipients[0].Address.Domain() != "works.example" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	until(t, "all others to stand in line", func() bool {
		list, err := q.List(t.Context(), Filter{Status: Waiting})
		return err == nil && len(list) == waiting-1 && list[0].Attempts == 0 && list[0].Next.IsZero()
	})
	if slow.asked > 10 {
		t.Errorf("asked %d times for one turn", slow.asked)
	}
	// What an administrator orders goes by the limits, too.
	if ok, err := q.Retry(t.Context(), 50); !ok || err != nil {
		t.Error(ok, err)
	}
	stop(t, q)
	slow.wait = time.Millisecond
	q = open(t, c)
	start(t, q)
	slow.allow(waiting)
	for i := 1; i < waiting; i++ {
		want := fmt.Sprintf("b%03d@slow.example", i)
		if d := h.wait(t); i != 49 && i < 190 && d.Recipients[0].Address.String() > fmt.Sprintf("b%03d", i+10) {
			t.Errorf("%v is delivered for %s", d.Recipients, want)
		}
	}
	drained(t, q)
	if slow.given != waiting || slow.now != 0 {
		t.Errorf("%d turns for %d messages, %d of them not ended", slow.given, waiting, slow.now)
	}
	for to, n := range h.attempts {
		if n != 1 {
			t.Errorf("%s was tried %d times", to, n)
		}
	}
}

// A destination that gets one message at once gets the next one when that is done.
func TestTurnsFollowEachOther(t *testing.T) { each(t, testTurnsFollowEachOther) }

func testTurnsFollowEachOther(t *testing.T) {
	h, seat := newHop(nil), make(chan struct{}, 1)
	var most, now int
	var mu sync.Mutex
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		now += n
		most = max(most, now)
	}
	q := open(t, Config{
		// Only the end of a turn can bring the next.
		Workers: 4, Look: time.Hour, Tend: time.Hour, Destination: byDomain,
		Turn: func(string) (func(), time.Duration) {
			select {
			case seat <- struct{}{}:
				return func() { <-seat }, 0
			default:
				return nil, 0
			}
		},
		Deliverer: deliverFunc(func(ctx context.Context, d relay.Delivery) ([]error, []bool) {
			count(1)
			defer count(-1)
			return h.Deliver(ctx, d)
		}),
	})
	start(t, q)
	all := toSlow(t, 40)
	if err := q.Put(t.Context(), batch(all...)); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if d := h.wait(t); d.Recipients[0].Address.String() != fmt.Sprintf("b%03d@slow.example", i) {
			t.Errorf("message %d is to %v", i, d.Recipients)
		}
	}
	drained(t, q)
	if most != 1 {
		t.Errorf("%d at once", most)
	}
	if q.dispatcher.lined("slow.example") {
		t.Error("a line without an end")
	}
}

// A delivery that goes by another route than when it had its turn, and has none there, is
// not attempted: it stands in line there.
func TestTurnElsewhere(t *testing.T) { each(t, testTurnElsewhere) }

func testTurnElsewhere(t *testing.T) {
	var mu sync.Mutex
	to, tried := "first.example", 0
	h := newHop(nil)
	q := open(t, Config{
		Destination: func(*relay.Delivery, relay.Recipient) string {
			mu.Lock()
			defer mu.Unlock()
			return to
		},
		Deliverer: deliverFunc(func(ctx context.Context, d relay.Delivery) ([]error, []bool) {
			turn, queued := relay.Turn(ctx)
			mu.Lock()
			defer mu.Unlock()
			if !queued {
				t.Error("a delivery of the queue without a turn")
			}
			to, tried = "slow.example", tried+1
			if turn != to {
				return []error{(&relay.NotYet{After: time.Millisecond}).Wait()}, nil
			}
			return h.Deliver(ctx, d)
		}),
	})
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	h.wait(t)
	drained(t, q)
	if tried != 2 {
		t.Errorf("handed on %d times", tried)
	}
}

// New mail does not wait in a line behind a retry that gets no seat, because others have
// all that retries may have.
func TestRetryInLineHoldsUpNoNewMail(t *testing.T) { each(t, testRetryInLineHoldsUpNoNewMail) }

func testRetryInLineHoldsUpNoNewMail(t *testing.T) {
	const retries = 4 // of five workers
	slow, silent := &turns{wait: time.Millisecond, left: 1}, make(chan struct{})
	answer := sync.OnceFunc(func() { close(silent) })
	defer answer()
	var hanging atomic.Int32
	// A destination that takes a part of the mail does not count as failing.
	h := newHop(func(to string, attempt int) error {
		if attempt == 1 && strings.HasPrefix(to, "again@") {
			return fault.New(fault.NextHop, "later", nil)
		}
		return nil
	})
	q := open(t, Config{
		Place: newPlace(t), Workers: 5, Destination: byDomain, Turn: slow.turn, Look: 10 * time.Millisecond, Retry: []time.Duration{time.Millisecond},
		Deliverer: deliverFunc(func(ctx context.Context, d relay.Delivery) ([]error, []bool) {
			if d.Recipients[0].Address.Local() == "again" && d.Recipients[0].Address.Domain() != "slow.example" {
				hanging.Add(1)
				<-silent
			}
			return h.Deliver(ctx, d)
		}),
	})
	start(t, q)
	put := func(to ...string) {
		t.Helper()
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", to...))); err != nil {
			t.Fatal(err)
		}
	}
	waiting := func(n int) func() bool {
		return func() bool {
			list, err := q.List(t.Context(), Filter{Status: Waiting})
			return err == nil && len(list) == n && list[0].Attempts == 1
		}
	}
	put("first@slow.example", "again@slow.example")
	h.wait(t)
	until(t, "the retry to stand in line", waiting(1))
	for i := range retries {
		put(fmt.Sprintf("first@hangs%d.example", i), fmt.Sprintf("again@hangs%d.example", i))
		h.wait(t)
	}
	until(t, "all seats of retries to be taken", func() bool { return hanging.Load() == retries })
	put("new@slow.example")
	until(t, "new mail to stand behind it", waiting(2))
	slow.allow(1)
	if d := h.wait(t); d.Recipients[0].Address.Local() != "new" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	answer()
	slow.allow(1)
	for range retries + 1 {
		h.wait(t)
	}
	drained(t, q)
}

// A turn that ends elsewhere brings the next one of the queue.
func TestFreedTurn(t *testing.T) {
	h, slow := newHop(nil), &turns{}
	// Nothing else has the queue ask within the time of the test.
	q := open(t, Config{Place: newPlace(t), Look: time.Hour, Tend: time.Hour, Destination: byDomain, Deliverer: h, Turn: slow.turn})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@slow.example"))); err != nil {
		t.Fatal(err)
	}
	until(t, "it to stand in line", func() bool {
		list, err := q.List(t.Context(), Filter{Status: Waiting})
		return err == nil && len(list) == 1
	})
	slow.allow(1)
	q.Freed("another.example")
	q.Freed("slow.example")
	h.wait(t)
	drained(t, q)
}
