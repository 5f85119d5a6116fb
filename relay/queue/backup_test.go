package queue

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCopyAndRestore: what is in a queue is in the copy that was made while a gateway
// works on it, and again in a queue of the other kind, once.
func TestCopyAndRestore(t *testing.T) {
	for name, places := range map[string][2]Place{
		"to PostgreSQL": {{Path: t.TempDir() + "/queue.db"}, newDatabase(t)},
		"to SQLite":     {newDatabase(t), {Path: t.TempDir() + "/other.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to, copied := places[0], places[1], t.TempDir()+"/copy.db"
			fillForMove(t, from)
			before := listForMove(t, from)
			q := open(t, Config{Place: from, Deliverer: newHop(nil), MinFree: -1}) // at work, but not started
			m, err := Copy(t.Context(), from, copied)
			if want := (Moved{Messages: 4, Deliveries: 4, Held: 1}); err != nil || m != want {
				t.Fatalf("copied %+v (%v), want %+v", m, err, want)
			}
			stop(t, q)
			if diff := cmp.Diff(before, listForMove(t, from)); diff != "" {
				t.Errorf("the queue has changed: %s", diff)
			}

			// Interrupted, when the first message was there.
			interrupt(t, copied, to)
			m, err = Restore(t.Context(), copied, to, false)
			if want := (Moved{Messages: 4, Deliveries: 4, Held: 1}); err != nil || m != want {
				t.Fatalf("restored %+v (%v), want %+v", m, err, want)
			}
			if diff := cmp.Diff(before, listForMove(t, to)); diff != "" {
				t.Errorf("restored: %s", diff)
			}
			if _, err := Restore(t.Context(), copied, to, false); !errors.Is(err, ErrNotEmpty) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

// interrupt is a Restore that ended after the first message.
func interrupt(t *testing.T, copied string, to Place) {
	t.Helper()
	s, err := OpenStore(t.Context(), Place{Path: copied})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := openOwned(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	c, err := s.readCargo(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.unload(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestRestoreOnHold: nothing is attempted before an operator says so.
func TestRestoreOnHold(t *testing.T) { each(t, testRestoreOnHold) }

func testRestoreOnHold(t *testing.T) {
	from, copied := Place{Path: t.TempDir() + "/queue.db"}, t.TempDir()+"/copy.db"
	fillForMove(t, from)
	if _, err := Copy(t.Context(), from, copied); err != nil {
		t.Fatal(err)
	}
	q := open(t, Config{Deliverer: newHop(nil), MinFree: -1})
	place := q.config.Place
	stop(t, q)
	if _, err := Restore(t.Context(), copied, place, true); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.List(t.Context(), Filter{Status: OnHold})
	if err != nil || len(list) != 4 {
		t.Errorf("%d on hold, %v", len(list), err)
	}
}

// TestRestoreOfAQueueInUse: a gateway that works on the queue is not disturbed.
func TestRestoreOfAQueueInUse(t *testing.T) { each(t, testRestoreOfAQueueInUse) }

func testRestoreOfAQueueInUse(t *testing.T) {
	from, copied := Place{Path: t.TempDir() + "/queue.db"}, t.TempDir()+"/copy.db"
	fillForMove(t, from)
	if _, err := Copy(t.Context(), from, copied); err != nil {
		t.Fatal(err)
	}
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if _, err := Restore(t.Context(), copied, q.config.Place, false); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}
