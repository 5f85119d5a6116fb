package queue

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// What a next hop answers, and how a client names the original recipient, may be no text
// that PostgreSQL keeps: the message is stored and tried again all the same.
func TestTextOfStrangers(t *testing.T) { each(t, testTextOfStrangers) }

func testTextOfStrangers(t *testing.T) {
	h := newHop(func(_ string, attempt int) error {
		if attempt == 1 {
			return fault.New(fault.NextHop, "Bo\xeete\x00 pleine", nil)
		}
		return nil
	})
	q := open(t, Config{Place: newPlace(t), Deliverer: h, Retry: []time.Duration{time.Millisecond}})
	d := delivery(t, "a@example.org", "b@example.net")
	d.Recipients[0].Original = "a\xe9b\x00@example.net"
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	if got := h.wait(t); got.Recipients[0].Original != "a\ufffdb\ufffd@example.net" {
		t.Errorf("original recipient %q", got.Recipients[0].Original)
	}
	drained(t, q)
}

// An order for a held message that cannot be carried out now stays, and one that never can
// is over.
func TestOrdersThatFail(t *testing.T) { each(t, testOrdersThatFail) }

func testOrdersThatFail(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	defer stop(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	if err := q.Give(t.Context(), 1, relay.Order{Verb: relay.GiveBack}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []fault.Kind{fault.Unavailable, fault.Policy} {
		s, err := q.loadHold(t.Context(), 1, nil)
		if err != nil || s == nil || s.orderText == "" {
			t.Fatalf("%+v, %v", s, err)
		}
		if err := q.postpone(t.Context(), s, fault.New(kind, "not now", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := q.loadHold(t.Context(), 1, nil); err != nil || s.orderText != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// A held message that another node has resolved meanwhile is none that can be removed.
func TestHoldIsRemovedOnce(t *testing.T) { each(t, testHoldIsRemovedOnce) }

func testHoldIsRemovedOnce(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	defer stop(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	if _, err := q.DropHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	err := q.writer.write(t.Context(), func(tx *sql.Tx) error { return q.removeHold(t.Context(), tx, 1, 1) })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("removed again: %v", err)
	}
}

// What is released from hold is attempted at once, however long it was to wait.
func TestReleasedAtOnce(t *testing.T) { each(t, testReleasedAtOnce) }

func testReleasedAtOnce(t *testing.T) {
	h := newHop(func(_ string, attempt int) error {
		if attempt == 1 {
			return fault.New(fault.NextHop, "busy", nil)
		}
		return nil
	})
	q := open(t, Config{Place: newPlace(t), Deliverer: h, Retry: []time.Duration{24 * time.Hour}, Tend: 5 * time.Millisecond})
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	var held bool
	until(t, "the delivery on hold", func() (ok bool) {
		list, err := q.List(t.Context(), Filter{})
		if err != nil || len(list) != 1 || list[0].Attempts == 0 {
			return false
		}
		held, err = q.Hold(t.Context(), 1)
		return held && err == nil
	})
	if ok, err := q.Unhold(t.Context(), 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	h.wait(t)
	drained(t, q)
}
