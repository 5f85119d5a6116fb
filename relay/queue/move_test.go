package queue

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// All mail moves from a file to a database and back, once, with its state; a move that was
// interrupted goes on.
func TestMove(t *testing.T) {
	file, database, other := Place{Path: t.TempDir() + "/queue.db"}, newDatabase(t), Place{Path: t.TempDir() + "/other.db"}
	fillForMove(t, file)
	before := listForMove(t, file)

	// Interrupted when the first message was in both.
	s, err := OpenStore(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	to, err := OpenStore(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.readCargo(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.unload(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, to} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ from, to Place }{{file, database}, {database, other}} {
		m, err := Move(t.Context(), step.from, step.to)
		if want := (Moved{Messages: 4, Deliveries: 4, Held: 1}); err != nil || m != want {
			t.Fatalf("%+v (%v), want %+v", m, err, want)
		}
		if diff := cmp.Diff(before, listForMove(t, step.to)); diff != "" {
			t.Errorf("from %s: %s", step.from.label(), diff)
		}
		if left := listForMove(t, step.from); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
}

// What a gateway works on is not moved.
func TestMoveOfAQueueInUse(t *testing.T) { each(t, testMoveOfAQueueInUse) }

func testMoveOfAQueueInUse(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if _, err := Move(t.Context(), q.config.Place, Place{Path: t.TempDir() + "/other.db"}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

// While mail is moved out of a database, no node begins to work on it and one that is cut
// off does not go on; afterwards one may. What a node begins with is not moved.
func TestMoveKeepsNodesOut(t *testing.T) {
	place := newDatabase(t)
	q := open(t, Config{Place: place, Deliverer: newHop(nil)})
	stopped := false
	defer func() {
		if !stopped {
			stop(t, q)
		}
	}()
	mover, err := OpenStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer mover.Close()
	if _, err := mover.keepNodesOut(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("a node has its lease, and is not in the way: %v", err)
	}
	// A node whose lease is over, though it runs.
	if _, err := mover.db.ExecContext(t.Context(), `UPDATE smimerelay_node SET until = 0`); err != nil {
		t.Fatal(err)
	}
	guard, err := mover.keepNodesOut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := q.lease.renew(t.Context()); !errors.Is(err, errMoving) {
		t.Errorf("a node that was cut off goes on: %v", err)
	}
	q.lease.renewed.Store(&time.Time{}) // it was cut off for as long as a lease lasts
	batch := relay.Batch{Copies: []relay.Delivery{delivery(t, "a@example.org", "b@example.net")}}
	if err := q.Put(t.Context(), batch); !errors.Is(err, errMoving) {
		t.Errorf("a node that was cut off takes mail: %v", err)
	}
	if _, err := Open(t.Context(), Config{Place: place, Deliverer: newHop(nil)}); !errors.Is(err, errMoving) {
		t.Errorf("a node begins: %v", err)
	}
	if _, err := Move(t.Context(), place, Place{Path: t.TempDir() + "/other.db"}); !errors.Is(err, errBusy) {
		t.Errorf("moved twice at once: %v", err)
	}
	if err := guard.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), batch); err != nil {
		t.Errorf("after the move: %v", err)
	}
	if err := q.lease.renew(t.Context()); err != nil {
		t.Error(err)
	}
	// A node that gets its lease at this moment.
	tx, err := mover.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := moveLock.TryShare(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	stopped = true
	if _, err := mover.keepNodesOut(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("a node gets its lease, and is not in the way: %v", err)
	}
}

// A move stops when the server has ended its lock.
func TestMoveWithoutItsLock(t *testing.T) {
	place := newDatabase(t)
	fillForMove(t, place)
	s, err := OpenStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	guard, err := s.keepNodesOut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	if m, err := s.move(t.Context(), nil, guard); err == nil || m != (Moved{}) {
		t.Errorf("%+v moved without the lock (%v)", m, err)
	}
	_ = guard.end(t.Context()) // it says so, too
}

// fillForMove puts mail of every kind into a queue.
func fillForMove(t *testing.T, place Place) {
	t.Helper()
	h := newHop(func(string, int) error { return fault.New(fault.NextHop, "busy", nil) })
	q := open(t, Config{Place: place, Deliverer: h, Retry: []time.Duration{24 * time.Hour}, MinFree: -1})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "tried@example.net", "too@example.net"))); err != nil {
		t.Fatal(err)
	}
	until(t, "an attempt", func() bool {
		list, err := q.List(t.Context(), Filter{Status: Deferred})
		return err == nil && len(list) == 1
	})
	stop(t, q)
	q = open(t, Config{Place: place, Deliverer: h, MinFree: -1})
	defer stop(t, q)
	one := delivery(t, "", "one@example.net")
	two := one
	two.Recipients = delivery(t, "", "two@example.net").Recipients
	large := delivery(t, "a@example.org", "large@example.net")
	var err error
	if large.Message, err = message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 300_000))); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), holding(held(t, "held@example.net"), one, two, large)); err != nil {
		t.Fatal(err)
	}
	list, err := q.Held(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := q.Give(t.Context(), list[0].ID, relay.Order{Verb: relay.GiveBack, Reason: "because"}); err != nil {
		t.Fatal(err)
	}
	if ok, err := q.Hold(t.Context(), 2); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// listForMove is what is in a queue, without the numbers, which change.
func listForMove(t *testing.T, place Place) string {
	t.Helper()
	s, err := OpenStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.List(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range list {
		body := written(t, s, e.ID)
		fmt.Fprintln(&text, e.Status, e.Sender, e.Created, e.Attempts, time.Until(e.Next) > time.Hour, e.Recipients, len(body), bytes.Count(body, []byte("\n")))
	}
	holds, err := s.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holds {
		var order string
		if err := s.db.QueryRow(`SELECT job_order FROM smimerelay_hold`).Scan(&order); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&text, h.Sender, h.Until, h.Recipients, h.Next, order)
	}
	return text.String()
}
