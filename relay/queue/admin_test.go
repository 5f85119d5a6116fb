package queue

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// The operator looks into the queue from another process, while the server
// works.
func TestAdmin(t *testing.T) { each(t, testAdmin) }

func testAdmin(t *testing.T) {
	deferred := make(chan struct{}, 100)
	h := newHop(func(to string, attempt int) error {
		if to == "later@example.net" && attempt == 1 {
			deferred <- struct{}{}
			return fault.New(fault.NextHop, "busy\x07", nil)
		}
		return nil
	})
	q := open(t, Config{Deliverer: h, Retry: []time.Duration{time.Hour}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "later@example.net"), delivery(t, "", "later@example.net"))); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(t.Context(), q.config.Place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	<-deferred

	var e Entry
	until(t, "a deferred delivery", func() bool {
		list, err := s.List(t.Context(), Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e = range list {
			if wait := time.Until(e.Next); e.Attempts == 1 && wait > 50*time.Minute && wait < 70*time.Minute {
				return true
			}
		}
		return false
	})
	if len(e.Recipients) != 1 || e.Recipients[0].Address != "later@example.net" || e.Recipients[0].Error != "busy\x07" || e.Size == 0 {
		t.Errorf("entry %+v", e)
	}
	shown, err := s.Show(t.Context(), e.ID)
	if text := written(t, s, e.ID); err != nil || shown.ID != e.ID || len(text) != e.Size {
		t.Errorf("shown %+v with %d octets (%v)", shown, len(text), err)
	}
	if now, err := s.Retry(t.Context(), e.ID); !now || err != nil {
		t.Fatal(now, err)
	}
	drained(t, q)
	_, retried := s.Retry(t.Context(), e.ID)
	for _, err := range []error{retried, s.Drop(t.Context(), e.ID), s.WriteMessage(t.Context(), e.ID, io.Discard)} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
}

func TestDrop(t *testing.T) { each(t, testDrop) }

func testDrop(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h})
	both := delivery(t, "a@example.org", "b@example.net")
	other := both
	other.Recipients = delivery(t, "", "c@example.net").Recipients
	if err := q.Put(t.Context(), batch(both, other)); err != nil {
		t.Fatal(err)
	}
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%v (%v)", list, err)
	}
	if err := q.Drop(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	if d := h.wait(t); d.Recipients[0].Address.String() != "c@example.net" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	drained(t, q)
	if n := h.attempts["b@example.net"]; n != 0 {
		t.Errorf("dropped, and tried %d times", n)
	}
	var messages int
	if err := q.db.QueryRow(`SELECT count(*) FROM smimerelay_message`).Scan(&messages); err != nil || messages != 0 {
		t.Errorf("%d messages are left (%v)", messages, err)
	}
}

// A delivery whose job is gone, for whatever reason, gets a new one.
func TestLostJobIsReplaced(t *testing.T) { each(t, testLostJobIsReplaced) }

func testLostJobIsReplaced(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h})
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"), delivery(t, "a@example.org", "c@example.net"))); err != nil {
		t.Fatal(err)
	}
	if _, err := q.db.Exec(`DELETE FROM river_job WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := q.db.Exec(`UPDATE river_job SET state = 'running' WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	place := q.config.Place
	stop(t, q)
	q = open(t, Config{Place: place, Deliverer: h})
	start(t, q)
	h.wait(t)
	h.wait(t)
	drained(t, q)
}

func TestOpenStoreOfNothing(t *testing.T) {
	if _, err := OpenStore(t.Context(), Place{Path: t.TempDir() + "/nothing.db"}); err == nil {
		t.Error("a store that is not there opens")
	}
}

// River on SQLite compares times as text: a zone must not shift the retries.
func TestTimeZones(t *testing.T) {
	for _, zone := range []string{"America/New_York", "Asia/Tokyo"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAdmin$/^sqlite$", "-test.v")
		cmd.Env = append(os.Environ(), "TZ="+zone)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestAdmin") {
			t.Errorf("%s: %v\n%s", zone, err, out)
		}
	}
}
