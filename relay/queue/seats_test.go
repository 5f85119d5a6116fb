package queue

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// byDomain is a Config.Destination.
func byDomain(_ *relay.Delivery, r relay.Recipient) string { return r.Address.Domain() }

// Mail for a destination that hangs, much of it and before all other, does not hold up
// others.
func TestHangingDestination(t *testing.T) { each(t, testHangingDestination) }

func testHangingDestination(t *testing.T) {
	goOn := make(chan struct{})
	h := newHop(nil)
	q := open(t, Config{Workers: 4, Destination: byDomain, Deliverer: deliverFunc(func(ctx context.Context, d relay.Delivery) ([]error, []bool) {
		if d.Recipients[0].Address.Domain() == "hangs.example" {
			select {
			case <-goOn:
			case <-ctx.Done():
			}
		}
		return h.Deliver(ctx, d)
	})})
	start(t, q)
	var all []relay.Delivery
	for i := range 100 {
		all = append(all, delivery(t, "a@example.org", fmt.Sprintf("b%d@hangs.example", i)))
	}
	if err := q.Put(t.Context(), batch(append(all, delivery(t, "a@example.org", "c@works.example"))...)); err != nil {
		t.Fatal(err)
	}
	if d := h.wait(t); d.Recipients[0].Address.Domain() != "works.example" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	close(goOn)
	drained(t, q)
}

// A message to several destinations is a delivery for each of them: what one defers is
// not sent to the other again.
func TestDeliveryForEachDestination(t *testing.T) { each(t, testDeliveryForEachDestination) }

func testDeliveryForEachDestination(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h, Destination: byDomain})
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@one.example", "c@two.example", "d@one.example"))); err != nil {
		t.Fatal(err)
	}
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != 2 || list[0].Destination != "one.example" || len(list[0].Recipients) != 2 || list[1].Destination != "two.example" {
		t.Fatalf("%+v (%v)", list, err)
	}
	start(t, q)
	h.wait(t)
	h.wait(t)
	drained(t, q)
	nothingLeft(t, q)
}

// However many retries are due: new mail goes first.
func TestNewMailGoesBeforeRetries(t *testing.T) { each(t, testNewMailGoesBeforeRetries) }

func testNewMailGoesBeforeRetries(t *testing.T) {
	const retries = 200
	h := newHop(func(_ string, attempt int) error {
		if attempt == 1 {
			return fault.New(fault.NextHop, "busy", nil)
		}
		return nil
	})
	c := Config{Place: newPlace(t), Deliverer: h, Retry: []time.Duration{time.Hour}, Workers: 1}
	q := open(t, c)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []relay.Delivery
	for i := range retries {
		all = append(all, delivery(t, "a@example.org", fmt.Sprintf("old%d@example.net", i)))
	}
	if err := q.Put(t.Context(), batch(all...)); err != nil {
		t.Fatal(err)
	}
	until(t, "the first attempts", func() bool {
		list, err := q.List(t.Context(), Filter{Status: Deferred})
		return err == nil && len(list) == retries
	})
	stop(t, q)
	q = open(t, c)
	for i := range retries {
		if now, err := q.Retry(t.Context(), int64(i+1)); !now || err != nil {
			t.Fatal(now, err)
		}
	}
	h.answer = nil
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "new@example.net"))); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	if d := h.wait(t); d.Recipients[0].Address.String() != "new@example.net" {
		t.Errorf("the first one delivered is to %v", d.Recipients)
	}
	drained(t, q)
}

// Of new mail without end one retry in twenty goes before it, and a destination that
// fails gets a tenth of the workers until it works again.
func TestSeats(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newSeats(20)
	for i := range 20 {
		if v := admit(&s, "a", firstAttempt); v != admitted {
			t.Fatalf("seat %d: %v", i, v)
		}
	}
	if v := s.judge("a", firstAttempt); v != full {
		t.Errorf("more than all workers for one destination: %v", v)
	}
	if v := s.judge("b", firstAttempt); v != admitted {
		t.Errorf("no worker for another destination: %v", v)
	}
	if turns := s.turns(now); len(turns) != 3 || turns[0].priority != retry || turns[0].most != 1 || turns[1].priority != firstAttempt {
		t.Errorf("after 20 first attempts: %+v", turns)
	}
	if turns := s.turns(now); turns[0].priority != firstAttempt {
		t.Errorf("and again: %+v", turns)
	}
	s.note("a", true, now)
	for range 19 {
		s.leave("a", false)
	}
	if v := admit(&s, "a", retry); v != admitted || s.judge("a", firstAttempt) != failing {
		t.Errorf("a destination that fails has %d workers", s.destinations["a"].busy)
	}
	s.note("a", false, now)
	if v := s.judge("a", firstAttempt); v != admitted {
		t.Errorf("one that works again: %v", v)
	}
	s.leave("a", true)
	s.leave("a", false)
	if s.busy != 0 || s.retries != 0 || s.struggling != 0 || len(s.destinations) != 0 {
		t.Errorf("left behind: %+v", s)
	}
	for range 16 {
		if v := admit(&s, "c", retry); v != admitted {
			t.Fatal(v)
		}
	}
	if v := s.judge("d", retry); v != noRetries {
		t.Errorf("retries leave nothing for new mail: %v", v)
	}
}

// What an administrator puts on hold is not attempted, also after a restart, until it is
// released.
func TestDeliveryOnHold(t *testing.T) { each(t, testDeliveryOnHold) }

func testDeliveryOnHold(t *testing.T) {
	h := newHop(nil)
	c := Config{Place: newPlace(t), Deliverer: h, Tend: 5 * time.Millisecond}
	q := open(t, c)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"), delivery(t, "a@example.org", "c@example.net"), delivery(t, "a@example.org", "d@example.net"))); err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= 2; id++ {
		if ok, err := q.Hold(t.Context(), id); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	stop(t, q)
	q = open(t, c)
	q.tender.poll()
	q.tender.poll()
	start(t, q)
	if d := h.wait(t); d.Recipients[0].Address.String() != "d@example.net" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	list, err := q.List(t.Context(), Filter{Status: OnHold})
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v (%v)", list, err)
	}
	if ok, err := q.Retry(t.Context(), 1); ok || err != nil {
		t.Errorf("retried on hold: %v %v", ok, err)
	}
	if _, err := q.Drop(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if ok, err := q.Unhold(t.Context(), 2); !ok || err != nil {
		t.Error(ok, err)
	}
	h.wait(t)
	drained(t, q)
	var jobs int
	until(t, "no job to be left", func() bool {
		return q.db.QueryRow(`SELECT count(*) FROM river_job`).Scan(&jobs) == nil && jobs == 0
	})
}

// admit gives a job a seat if it gets one.
func admit(s *seats, destination string, priority int) verdict {
	v := s.judge(destination, priority)
	if v == admitted {
		s.seat(destination, priority)
	}
	return v
}
