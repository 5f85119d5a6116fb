package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// The commit that stores a message has it delivered, and the commit that records an
// attempt has the next one made: nothing waits for a look at the file.
func TestCommitsTakeJobs(t *testing.T) { each(t, testCommitsTakeJobs) }

func testCommitsTakeJobs(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h, Look: time.Hour, Tend: time.Hour, Workers: 1})
	for i := range 3 {
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", fmt.Sprintf("early%d@example.net", i)))); err != nil {
			t.Fatal(err)
		}
	}
	start(t, q)
	drained(t, q) // the first look took one: the others followed it
	for i := range 3 {
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", fmt.Sprintf("late%d@example.net", i)))); err != nil {
			t.Fatal(err)
		}
	}
	drained(t, q)
	for to, n := range h.attempts {
		if n != 1 {
			t.Errorf("%s was tried %d times", to, n)
		}
	}
	if len(h.attempts) != 6 {
		t.Errorf("delivered to %v", h.attempts)
	}
}

// counting counts the deliveries that are under way.
type counting struct {
	now, most atomic.Int64
	goOn      chan struct{}
}

func (c *counting) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for was := c.most.Load(); n > was && !c.most.CompareAndSwap(was, n); was = c.most.Load() {
	}
	<-c.goOn
	return make([]error, len(d.Recipients)), nil
}

// So many deliveries are under way as there are workers: not fewer while there is
// something to deliver, and not more.
func TestWorkersAreBounded(t *testing.T) { each(t, testWorkersAreBounded) }

func testWorkersAreBounded(t *testing.T) {
	c := &counting{goOn: make(chan struct{})}
	q := open(t, Config{Deliverer: c, Workers: 3})
	start(t, q)
	for i := range 10 {
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", fmt.Sprintf("b%d@example.net", i)))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "three deliveries under way", func() bool { return c.now.Load() == 3 })
	for range 10 {
		c.goOn <- struct{}{}
	}
	drained(t, q)
	if n := c.most.Load(); n != 3 {
		t.Errorf("%d deliveries at once, want 3", n)
	}
}

// What another process makes due, and what becomes due with time, is seen at a look.
func TestLookFindsWhatIsDue(t *testing.T) { each(t, testLookFindsWhatIsDue) }

func testLookFindsWhatIsDue(t *testing.T) {
	h := newHop(func(_ string, attempt int) error {
		if attempt == 1 {
			return fault.New(fault.NextHop, "busy", nil)
		}
		return nil
	})
	q := open(t, Config{Deliverer: h, Tend: time.Hour, Retry: []time.Duration{time.Hour}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	operator, err := OpenStore(t.Context(), q.config.Place)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	until(t, "the second attempt to be ordered", func() bool {
		entries, err := operator.List(t.Context(), Filter{})
		if err != nil || len(entries) != 1 || entries[0].Attempts != 1 {
			return false
		}
		now, err := operator.Retry(t.Context(), entries[0].ID)
		return now && err == nil
	})
	h.wait(t)
	drained(t, q)
}

// A queue that stops in the middle of an attempt interrupts it after a while, and the
// next process makes it again.
func TestStopInterrupts(t *testing.T) { each(t, testStopInterrupts) }

func testStopInterrupts(t *testing.T) {
	var once sync.Once
	begun := make(chan struct{})
	q := open(t, Config{Deliverer: deliverFunc(func(ctx context.Context, d relay.Delivery) ([]error, []bool) {
		once.Do(func() { close(begun) })
		<-ctx.Done()
		return []error{fault.New(fault.NextHop, "interrupted", ctx.Err())}, nil
	})})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	<-begun
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Stop(over); err != nil {
		t.Error(err)
	}
	h := newHop(nil)
	again := open(t, Config{Place: q.config.Place, Deliverer: h})
	start(t, again)
	h.wait(t)
	drained(t, again)
}

type deliverFunc func(context.Context, relay.Delivery) ([]error, []bool)

func (f deliverFunc) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	return f(ctx, d)
}

// The record of an attempt waits for a message to share the commit with, so that it
// does not hold the message up; it does not wait while deliveries wait for a worker.
func TestRecordsShareCommits(t *testing.T) {
	d := newDispatcher(&Queue{config: Config{Workers: 1}})
	d.open = true
	w := &writer{dispatcher: d, changes: make(chan *change), linger: time.Hour}
	record := &change{patient: true}
	got := make(chan int)
	go func() { got <- len(w.gather(record)) }()
	w.changes <- record
	w.changes <- &change{}
	if n := <-got; n != 3 {
		t.Errorf("%d changes share a commit, want 3", n)
	}
	if n := len(w.gather(&change{})); n != 1 {
		t.Errorf("a message waited for %d others", n-1)
	}
	d.seats.busy = 1
	if n := len(w.gather(record)); n != 1 {
		t.Errorf("a worker that others wait for waited for %d changes", n-1)
	}
	d.seats.busy, w.linger = 0, time.Nanosecond
	if n := len(w.gather(record)); n != 1 {
		t.Errorf("%d changes share a commit, and only one was there", n)
	}
}
