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
	if len(e.Recipients) != 1 || e.Recipients[0].Address != "later@example.net" || e.Recipients[0].Error != "451 4.4.1 busy\x07" || e.Size == 0 {
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
	_, dropped := s.Drop(t.Context(), e.ID)
	for _, err := range []error{retried, dropped, s.WriteMessage(t.Context(), e.ID, io.Discard)} {
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
	both.Origin.ID, both.Direction = "t1", "outbound"
	other := both
	other.Recipients = delivery(t, "", "c@example.net").Recipients
	if err := q.Put(t.Context(), batch(both, other)); err != nil {
		t.Fatal(err)
	}
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%v (%v)", list, err)
	}
	dropped, err := q.Drop(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if !dropped.Since.Equal(list[0].Created) || dropped.ID != "t1" || len(dropped.Recipients) != 1 || dropped.Recipients[0].String() != "b@example.net" {
		t.Errorf("dropped %+v", dropped)
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

// What is damaged can be seen and removed: no attempt and no look ever would.
func TestDamagedIsDropped(t *testing.T) { each(t, testDamagedIsDropped) }

func testDamagedIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		readable  int // recipients of the hold and of the delivery
	}{
		"delivery's parameters":  {`UPDATE smimerelay_delivery SET params = '{'`, 1},
		"address of a recipient": {`UPDATE smimerelay_recipient SET address = 'no address' WHERE position = 0`, 2},
		"hold":                   {`UPDATE smimerelay_hold SET hold = '{'`, 2},
		"address of one held":    {`UPDATE smimerelay_hold SET hold = replace(hold, 'h@example.net', 'no address')`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, Config{Deliverer: newHop(nil)})
			defer stop(t, q)
			d := delivery(t, "a@example.org", "b@example.net", "c@example.net")
			d.Origin.ID, d.Direction = "t1", "outbound"
			if err := q.Put(t.Context(), holding(held(t, "h@example.net"), d)); err != nil {
				t.Fatal(err)
			}
			if _, err := q.db.ExecContext(t.Context(), c.statement); err != nil {
				t.Fatal(err)
			}
			list, err := q.List(t.Context(), Filter{})
			holds, err2 := q.Held(t.Context())
			if err = errors.Join(err, err2); err != nil || len(list) != 1 || len(holds) != 1 {
				t.Fatalf("%v, %v: %v", list, holds, err)
			}
			if n, err := q.CountHeld(t.Context()); err != nil || n.Waiting != 1 {
				t.Errorf("%+v, %v", n, err)
			}
			if e, err := q.Show(t.Context(), list[0].ID); err != nil || len(e.Recipients) != 2 {
				t.Errorf("%+v, %v", e, err)
			}
			if (holds[0].Trouble != "") != (name == "hold") {
				t.Errorf("trouble %q", holds[0].Trouble)
			}
			dropped, err := q.Drop(t.Context(), list[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			droppedHold, err := q.DropHeld(t.Context(), holds[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(dropped.Recipients) + len(droppedHold.Recipients); n != c.readable {
				t.Errorf("%d recipients could be read, want %d", n, c.readable)
			}
			var left int
			if err := q.db.QueryRowContext(t.Context(), `SELECT count(*) FROM smimerelay_message`).Scan(&left); err != nil || left != 0 {
				t.Errorf("%d messages are left (%v)", left, err)
			}
		})
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

// TestReasonIsShown: an operator sees the reply of the last attempt and, where it is this
// side's own, what is behind it.
func TestReasonIsShown(t *testing.T) {
	for want, err := range map[string]error{
		"451 4.4.1 next hop not available: mx.example.net: connection refused": fault.New(fault.NextHop, "next hop not available", errors.New("mx.example.net: connection refused")),
		"450 4.2.0 later": &fault.Error{Kind: fault.NextHop, Public: "next hop answered 450", Reply: fault.Reply{Code: 450, Enhanced: [3]int{4, 2, 0}, Text: "later"}},
	} {
		if got := shown(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
