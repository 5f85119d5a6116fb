package queue

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// events notes what is reported to senders.
type events struct {
	mu  sync.Mutex
	all []string
	err error
}

func (e *events) report(d relay.Delivery, v relay.Event) (relay.Delivery, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range v.About {
		lasts := time.Duration(0)
		if !v.Until.IsZero() {
			lasts = v.Until.Sub(v.Arrived)
		}
		e.all = append(e.all, fmt.Sprint(v.Kind, " ", a.Recipient.Address, " ", v.Arrived.IsZero(), " ", lasts))
	}
	return relay.Delivery{}, false, e.err
}

// A next hop that does not know NOTIFY: the sender may get a report that it took the
// message (RFC 3461 section 5.2.2).
func TestRelayedIsReported(t *testing.T) { each(t, testRelayedIsReported) }

func testRelayedIsReported(t *testing.T) {
	for _, relays := range []bool{true, false} {
		h, e := newHop(nil), &events{}
		h.relays = relays
		q := open(t, Config{Deliverer: h, Decider: decider{report: e.report}})
		start(t, q)
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"), delivery(t, "", "c@example.net"))); err != nil {
			t.Fatal(err)
		}
		drained(t, q)
		want := "[]"
		if relays {
			want = "[2 b@example.net false 0s]"
		}
		if got := fmt.Sprint(e.all); got != want {
			t.Errorf("relays %v: reported %s", relays, got)
		}
	}
}

// A delay is reported to the sender once, when it has lasted, and of how long it may.
func TestDelayIsReportedOnce(t *testing.T) { each(t, testDelayIsReportedOnce) }

func testDelayIsReportedOnce(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	e := &events{}
	h := newHop(func(to string, attempt int) error {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Hour)
		if to == "ok@example.net" || attempt > 8 {
			return nil
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.all) > 0 && attempt < 4 {
			t.Errorf("reported after %d attempts, an hour each", attempt)
		}
		return fault.New(fault.NextHop, "busy", nil)
	})
	q := open(t, Config{Deliverer: h, Decider: decider{report: e.report}, Clock: clock, NotifyDelay: 4 * time.Hour, Lifetime: 100 * time.Hour})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	if got := fmt.Sprint(e.all); got != "[1 b@example.net false 100h0m0s]" {
		t.Errorf("reported %s", got)
	}
}

// The delay of mail that waits for its turn is reported once as well, without an attempt:
// not before it has lasted, nor again when an attempt fails.
func TestDelayInLineIsReportedOnce(t *testing.T) { each(t, testDelayInLineIsReportedOnce) }

func testDelayInLineIsReportedOnce(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := func(d time.Duration) time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return now
	}
	e, slow := &events{}, &turns{wait: time.Millisecond}
	reported := func() string {
		e.mu.Lock()
		defer e.mu.Unlock()
		return fmt.Sprint(e.all)
	}
	h := newHop(func(to string, attempt int) error {
		if attempt == 1 {
			return fault.New(fault.NextHop, "busy", nil)
		}
		return nil
	})
	q := open(t, Config{
		Deliverer: h, Decider: decider{report: e.report}, Clock: func() time.Time { return later(time.Millisecond) }, Destination: byDomain, Turn: slow.turn,
		NotifyDelay: 4 * time.Hour, Lifetime: 100 * time.Hour, Tend: time.Hour,
	})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@slow.example"), delivery(t, "", "c@slow.example"))); err != nil {
		t.Fatal(err)
	}
	until(t, "both to stand in line", func() bool {
		list, err := q.List(t.Context(), Filter{Status: Waiting})
		return err == nil && len(list) == 2
	})
	for range 3 {
		q.tender.poll()
	}
	if got := reported(); got != "[]" {
		t.Errorf("reported at once: %s", got)
	}
	later(5 * time.Hour)
	for range 3 {
		q.tender.poll()
	}
	const want = "[1 b@slow.example false 100h0m0s]"
	if got := reported(); got != want || len(h.attempts) > 0 {
		t.Errorf("reported %s, attempts %v", got, h.attempts)
	}
	slow.allow(10)
	drained(t, q)
	if got := reported(); got != want || h.attempts["b@slow.example"] != 2 {
		t.Errorf("reported %s in the end, attempts %v", got, h.attempts)
	}
}

// A delivery that has its turn before its delay is noted has it reported by its attempt alone.
func TestDelayInLineIsNotReportedTwice(t *testing.T) { each(t, testDelayInLineIsNotReportedTwice) }

func testDelayInLineIsNotReportedTwice(t *testing.T) {
	slow := &turns{wait: time.Hour}
	q := open(t, Config{Deliverer: newHop(nil), Destination: byDomain, Turn: slow.turn, NotifyDelay: time.Nanosecond, Tend: time.Hour})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@slow.example"))); err != nil {
		t.Fatal(err)
	}
	var jobs []job
	until(t, "it to stand in line", func() (in bool) {
		var err error
		jobs, err = q.delayedJobs(t.Context())
		return err == nil && len(jobs) == 1
	})
	s, err := q.load(t.Context(), jobs[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		tx, err := q.db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if noted, err := s.noteDelayInLine(t.Context(), tx); noted != want || err != nil {
			t.Errorf("noted %v, %v; want %v", noted, err, want)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := q.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`UPDATE smimerelay_delivery SET params = replace(params, 'ToldOfDelay', 'x')`); err != nil {
		t.Fatal(err)
	}
	if err := stepOut(t.Context(), tx, job{delivery: s.id, lined: true}); err != nil {
		t.Fatal(err)
	}
	if noted, err := s.noteDelayInLine(t.Context(), tx); noted || err != nil {
		t.Errorf("noted %v, %v of a delivery that has its turn", noted, err)
	}
}

// A report that cannot be made costs no recipient the message, and none gets it twice.
func TestReportThatFailsRepeatsNothing(t *testing.T) { each(t, testReportThatFailsRepeatsNothing) }

func testReportThatFailsRepeatsNothing(t *testing.T) {
	e := &events{err: errors.New("no")}
	h := newHop(func(to string, attempt int) error {
		if to == "no@example.net" {
			e.mu.Lock()
			defer e.mu.Unlock()
			if attempt > 2 {
				e.err = nil
			}
			return fault.New(fault.Refused, "no", nil)
		}
		return nil
	})
	h.relays = true
	q := open(t, Config{Deliverer: h, Decider: decider{report: e.report}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "yes@example.net", "no@example.net"))); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	if h.attempts["yes@example.net"] != 1 || h.attempts["no@example.net"] != 3 {
		t.Errorf("attempts %v", h.attempts)
	}
}

// What may be reported of a message that was encrypted is kept with it.
func TestSecretIsStored(t *testing.T) { each(t, testSecretIsStored) }

func testSecretIsStored(t *testing.T) {
	h := newHop(func(to string, _ int) error { return fault.New(fault.Refused, "no", nil) })
	got := make(chan relay.Delivery, 1)
	q := open(t, Config{Deliverer: h, Decider: decider{report: func(d relay.Delivery, _ relay.Event) (relay.Delivery, bool, error) {
		got <- d
		return relay.Delivery{}, false, nil
	}}})
	start(t, q)
	d := delivery(t, "own@gw.example.com", "b@example.net")
	d.Secret = &relay.Secret{Sender: addr(t, `"odd one"@example.org`), MessageID: "<m@x>", Date: "today", EnvelopeID: "e", To: d.Recipients}
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	if s := (<-got).Secret; s == nil || s.Sender.String() != `"odd one"@example.org` || s.MessageID != "<m@x>" || s.To[0].Original != "was-b@example.net" || s.To[0].Address != d.Recipients[0].Address {
		t.Errorf("stored %+v", s)
	}
}
