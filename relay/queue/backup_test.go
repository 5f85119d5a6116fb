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
			m, err = Restore(t.Context(), copied, to, false, nil)
			if want := (Moved{Messages: 4, Deliveries: 4, Held: 1}); err != nil || m != want {
				t.Fatalf("restored %+v (%v), want %+v", m, err, want)
			}
			if diff := cmp.Diff(before, listForMove(t, to)); diff != "" {
				t.Errorf("restored: %s", diff)
			}
			if _, err := Restore(t.Context(), copied, to, false, nil); !errors.Is(err, ErrNotEmpty) {
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
	if _, err := Restore(t.Context(), copied, place, true, nil); err != nil {
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
	wantHeldStopped(t, s)
}

// wantHeldStopped: held mail too waits for an order, whatever certificates come.
func wantHeldStopped(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids, err := queryInts(t.Context(), s.db, `SELECT id FROM smimerelay_hold WHERE next < $1`, int64(neverDue))
	var all int
	if err == nil {
		err = s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM smimerelay_hold`).Scan(&all)
	}
	if err != nil || len(ids) > 0 || all == 0 {
		t.Errorf("of %d held messages %d are looked at, %v", all, len(ids), err)
	}
}

// TestRestoreOnHoldAgain: after an interrupted call that put nothing on hold all is.
func TestRestoreOnHoldAgain(t *testing.T) {
	for name, to := range map[string]Place{"SQLite": {Path: t.TempDir() + "/other.db"}, "PostgreSQL": newDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			from, copied := Place{Path: t.TempDir() + "/queue.db"}, t.TempDir()+"/copy.db"
			fillForMove(t, from)
			if _, err := Copy(t.Context(), from, copied); err != nil {
				t.Fatal(err)
			}
			interrupt(t, copied, to)
			if _, err := Restore(t.Context(), copied, to, true, nil); err != nil {
				t.Fatal(err)
			}
			s, err := OpenStore(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			list, err := s.List(t.Context(), Filter{Status: OnHold})
			if err != nil || len(list) != 4 {
				t.Errorf("%d on hold, %v", len(list), err)
			}
		})
	}
}

// TestRestoreOther: what an interrupted call left of one backup is not mixed with another.
func TestRestoreOther(t *testing.T) {
	to, copies := Place{Path: t.TempDir() + "/other.db"}, []string{t.TempDir() + "/copy.db", t.TempDir() + "/copy.db"}
	for _, path := range copies {
		from := Place{Path: t.TempDir() + "/queue.db"}
		fillForMove(t, from)
		if _, err := Copy(t.Context(), from, path); err != nil {
			t.Fatal(err)
		}
	}
	interrupt(t, copies[0], to)
	if _, err := Restore(t.Context(), copies[1], to, false, nil); !errors.Is(err, errOther) {
		t.Errorf("the other backup: %v", err)
	}
	if m, err := Restore(t.Context(), copies[0], to, false, nil); err != nil || m.Messages != 4 {
		t.Errorf("the same one: %+v, %v", m, err)
	}
	// What an interrupted call left was removed.
	third := Place{Path: t.TempDir() + "/other.db"}
	interrupt(t, copies[0], third)
	s, err := OpenStore(t.Context(), third)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.List(t.Context(), Filter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, err := s.Drop(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if m, err := Restore(t.Context(), copies[1], third, false, nil); err != nil || m.Messages != 4 {
		t.Errorf("the other backup, after that: %+v, %v", m, err)
	}
}

// TestRestoreFirst: what the mail needs comes first, while no gateway can begin; where that
// fails nothing was restored, and the next call does it all.
func TestRestoreFirst(t *testing.T) {
	for name, to := range map[string]Place{"SQLite": {Path: t.TempDir() + "/other.db"}, "PostgreSQL": newDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			from, copied := Place{Path: t.TempDir() + "/queue.db"}, t.TempDir()+"/copy.db"
			fillForMove(t, from)
			if _, err := Copy(t.Context(), from, copied); err != nil {
				t.Fatal(err)
			}
			failure := errors.New("the key is another one")
			if _, err := Restore(t.Context(), copied, to, false, func() error { return failure }); !errors.Is(err, failure) {
				t.Errorf("error %v", err)
			}
			m, err := Restore(t.Context(), copied, to, false, func() error {
				if q, err := Open(t.Context(), Config{Place: to, Deliverer: newHop(nil), MinFree: -1}); err == nil {
					stop(t, q)
					t.Error("a gateway begins")
				}
				return nil
			})
			if want := (Moved{Messages: 4, Deliveries: 4, Held: 1}); err != nil || m != want {
				t.Errorf("%+v (%v), want %+v", m, err, want)
			}
		})
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
	if _, err := Restore(t.Context(), copied, q.config.Place, false, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}
