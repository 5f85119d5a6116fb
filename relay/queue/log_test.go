package queue

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// The report on a message is joined to it, too.
func TestReportsNameTheMessage(t *testing.T) { each(t, testReportsNameTheMessage) }

func testReportsNameTheMessage(t *testing.T) {
	log, origin := &wiretest.Log{}, relay.Origin{ID: "ID1", MessageID: "<m@example.org>"}
	refuse := newHop(func(to string, _ int) error {
		if to == "a@example.org" {
			return nil
		}
		return fault.New(fault.Refused, "next hop answered 550 no such user", nil)
	})
	report := decider{report: func(relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
		return delivery(t, "", "a@example.org"), true, nil
	}}
	q := open(t, Config{Deliverer: refuse, Decider: report, Log: log.Logger()})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := delivery(t, "a@example.org", "b@example.net")
	d.Origin = origin
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	stop(t, q)
	if want := `msg=attempt id=ID1 message_id=<m@example.org> delivery=2 attempt=1 sender=""`; !strings.Contains(log.String(), want) {
		t.Errorf("%s\nhas no %s", log, want)
	}
}

// An attempt is joined to its message by the names that the log of the listener
// has, also after a restart.
func TestAttemptsNameTheMessage(t *testing.T) { each(t, testAttemptsNameTheMessage) }

func testAttemptsNameTheMessage(t *testing.T) {
	place, log := newPlace(t), &wiretest.Log{}
	d := delivery(t, "a@example.org", "b@example.net")
	d.Origin = relay.Origin{ID: "ID1", QueueID: "4XYZ", MessageID: "<m@example.org>"}
	q := open(t, Config{Place: place, Deliverer: newHop(nil)})
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	h := newHop(func(_ string, attempt int) error {
		if attempt > 1 {
			return nil
		}
		return fault.New(fault.NextHop, "next hop not available", nil)
	})
	q = open(t, Config{Place: place, Deliverer: h, Log: log.Logger()})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.wait(t).Origin; got != d.Origin {
		t.Errorf("the next hop gets %+v", got)
	}
	drained(t, q)
	stop(t, q) // the last line is written behind the commit
	const names = "id=ID1 queue_id=4XYZ message_id=<m@example.org> delivery=1 attempt=1 sender=a@example.org "
	for _, want := range []string{`msg="not delivered" ` + names + `recipient=b@example.net error="next hop not available" next_hop=""`, "msg=attempt " + names} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s\nhas no %s", log, want)
		}
	}
}
