package queue

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// waitingHold is a message that waits for answers of all its recipients.
func waitingHold(t testing.TB, to ...string) relay.Hold {
	h := held(t, to...)
	for range to {
		h.Asked = append(h.Asked, true)
	}
	return h
}

// returnable is a question that a report finds by a number.
func returnable(t testing.TB, to, number string) relay.Question {
	q := question(t, to, "<"+number+"@gw>", time.Hour)
	q.Asks.Number = number
	q.Sender = addr(t, "smr2=x=x="+number+"@bounce.example.org")
	return q
}

// report is what comes of a report on a question that names one recipient.
func report(t testing.TB, number, original string) relay.Batch {
	return relay.Batch{Unreached: []relay.Unreached{{Number: number, Failed: []relay.Unasked{{Original: addr(t, original), Reason: "550 5.1.1 no such user"}}}}}
}

// whyUnreached are the notes in each hold, in the order of the holds.
func whyUnreached(t *testing.T, q *Queue) (all []string) {
	t.Helper()
	ids, err := queryInts(t.Context(), q.db, `SELECT id FROM smimerelay_hold ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		s, err := q.loadHold(t.Context(), id, nil)
		if err != nil || s == nil {
			t.Fatal(s, err)
		}
		all = append(all, strings.Join(s.hold.Unreached, "|"))
	}
	return all
}

func wantNotes(t *testing.T, q *Queue, want ...string) {
	t.Helper()
	if got := whyUnreached(t, q); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the holds have %q, want %q", got, want)
	}
}

const noSuchUser = "550 5.1.1 no such user"

// A report on a question ends the wait of all who wait for an answer of its recipient, and of no one
// else; once, whatever comes after it. The next message asks again.
func TestReportOnAQuestion(t *testing.T) { each(t, testReportOnAQuestion) }

func testReportOnAQuestion(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	put := func(b relay.Batch) {
		t.Helper()
		if err := q.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	// The first asks, the second waits for the same answer, the third for nothing but a
	// certificate, and the fourth for the answers of others, whose names are like it.
	first, second := waitingHold(t, "Bob_x@EXAMPLE.net", "c@example.net"), waitingHold(t, "bob_x@example.net")
	third, fourth := held(t, "bob_x@example.net"), waitingHold(t, "bobyx@example.net", "aabob_x@example.net", "bob_x@example.network", `"bob\"_x@example.net"@example.org`)
	put(relay.Batch{Held: &first, Questions: []relay.Question{returnable(t, "bob_x@example.net", "n1"), returnable(t, "c@example.net", "n2")}})
	put(relay.Batch{Held: &second, Questions: []relay.Question{returnable(t, "bob_x@example.net", "n3")}})
	put(relay.Batch{Held: &third})
	put(relay.Batch{Held: &fourth})
	for name, b := range map[string]relay.Batch{
		"of a question that was not sent":     report(t, "n3", "bob_x@example.net"),
		"of no question":                      report(t, "", "bob_x@example.net"),
		"of another's question":               report(t, "n2", "bob_x@example.net"),
		"that names no recipient":             {Unreached: []relay.Unreached{{Number: "n1"}}},
		"with what a pattern would stand for": report(t, "n_", "bob_x@example.net"),
	} {
		put(b)
		if got := strings.Join(whyUnreached(t, q), ""); got != "" {
			t.Errorf("a report %s ends the wait: %s", name, got)
		}
	}
	put(report(t, "n1", "BOB_X@example.net"))
	wantNotes(t, q, noSuchUser+"|", noSuchUser, "", "")
	due, err := q.due(t.Context())
	if err != nil || len(due) != 2 {
		t.Errorf("%d are due: %v", len(due), err)
	}
	// What came back once does not end the wait of later messages.
	fifth := waitingHold(t, "bob_x@example.net")
	put(relay.Batch{Held: &fifth, Questions: []relay.Question{returnable(t, "bob_x@example.net", "n4")}})
	put(report(t, "n1", "bob_x@example.net"))
	wantNotes(t, q, noSuchUser+"|", noSuchUser, "", "", "")
	wantQuestions(t, q, 3)
	put(report(t, "n4", "bob_x@example.net"))
	wantNotes(t, q, noSuchUser+"|", noSuchUser, "", "", noSuchUser)
}

// What was noted of those who wait comes back whole, and what was not is nil.
func TestNotesOfAHold(t *testing.T) {
	for _, h := range []relay.Hold{
		held(t, "b@example.net", "c@example.net"), waitingHold(t, "b@example.net"),
		{Asked: []bool{false, true}, Unreached: []string{"", "why"}},
	} {
		full := held(t, "b@example.net", "c@example.net")
		full.Asked, full.Unreached = h.Asked, h.Unreached
		stored, err := storeHold(&full)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stored.hold(full.Message)
		if err != nil || (got.Asked == nil) != (h.Asked == nil) || (got.Unreached == nil) != (h.Unreached == nil) {
			t.Errorf("came back as %+v (%v)", got, err)
		}
		for i := range full.Envelope.Recipients {
			if got.IsAsked(i) != full.IsAsked(i) || got.WhyUnreached(i) != full.WhyUnreached(i) {
				t.Errorf("recipient %d came back as %v, %q", i, got.IsAsked(i), got.WhyUnreached(i))
			}
		}
	}
}

// A report may name another recipient only where it does not say to whom the question was sent.
func TestWhomAReportIsAbout(t *testing.T) {
	const bob = "bob@example.net"
	at := func(s string) address.Address {
		if s == "" {
			return address.Null
		}
		return addr(t, s)
	}
	for name, c := range map[string]struct {
		names [][2]string // original and final, in turn
		want  string      // the number of the one that counts
	}{
		"both":                     {[][2]string{{bob, bob}}, "0"},
		"another case":             {[][2]string{{"BOB@Example.NET", ""}}, "0"},
		"forwarded":                {[][2]string{{bob, "robert@home.example"}}, "0"},
		"forwarded, without ORCPT": {[][2]string{{"", "robert@home.example"}}, "0"},
		"renamed on the way":       {[][2]string{{"b@mx.example.net", bob}}, "0"},
		"another's":                {[][2]string{{"eve@example.net", "eve@example.net"}}, ""},
		"another's, with nothing":  {[][2]string{{"eve@example.net", ""}}, ""},
		"nothing is named":         {[][2]string{{"", ""}}, "0"},
		"the best of several":      {[][2]string{{"", "x@example.net"}, {"x@example.net", bob}, {bob, ""}}, "2"},
		"none":                     {nil, ""},
	} {
		var u relay.Unreached
		for i, n := range c.names {
			u.Failed = append(u.Failed, relay.Unasked{Original: at(n[0]), Final: at(n[1]), Reason: string(rune('0' + i))})
		}
		if why, ok := unreachedBy(u, bob); why != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v", name, why, ok)
		}
	}
}

// A question that the queue itself gives up has its messages returned in the same way, and its
// return path gets no report.
func TestReturnableQuestionIsGivenUp(t *testing.T) { each(t, testReturnableQuestionIsGivenUp) }

func testReturnableQuestionIsGivenUp(t *testing.T) {
	refuse := newHop(func(to string, _ int) error {
		if to != "b@example.net" {
			return nil
		}
		return &fault.Error{Kind: fault.Refused, Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such\r\n user"}}
	})
	var mu sync.Mutex
	var reported []relay.Event
	q := open(t, Config{Place: newPlace(t), Deliverer: refuse, Look: time.Millisecond, Decider: decider{
		report: func(to relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, e)
			return delivery(t, "", to.Sender.String()), true, nil
		},
		reconsider: giveBackUnreached(t),
	}})
	start(t, q)
	h := waitingHold(t, "b@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{returnable(t, "b@example.net", "n1")}}); err != nil {
		t.Fatal(err)
	}
	if d := refuse.wait(t); d.Recipients[0].Address.String() != "a@example.org" || d.Params.EnvID != noSuchUser {
		t.Errorf("delivered %+v", d)
	}
	drained(t, q)
	nothingLeft(t, q)
	mu.Lock()
	defer mu.Unlock()
	if len(reported) != 0 {
		t.Errorf("reported %+v", reported)
	}
}

// giveBackUnreached is a decision that returns what no answer will come for, with the reason where a test
// finds it, and releases nothing.
func giveBackUnreached(t testing.TB) func(context.Context, relay.Hold, relay.Order) (relay.Batch, error) {
	return func(_ context.Context, h relay.Hold, _ relay.Order) (relay.Batch, error) {
		why := h.WhyUnreached(0)
		if why == "" {
			return relay.Batch{Held: &h}, nil
		}
		d := delivery(t, "", h.Envelope.Sender.String())
		d.Params.EnvID = why
		return relay.Batch{Notices: []relay.Delivery{d}}, nil
	}
}

// A decision that was made before the report came changes nothing: the one after it counts.
func TestReportDuringADecision(t *testing.T) { each(t, testReportDuringADecision) }

func testReportDuringADecision(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	h := waitingHold(t, "b@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{returnable(t, "b@example.net", "n1")}}); err != nil {
		t.Fatal(err)
	}
	ids, err := queryInts(t.Context(), q.db, `SELECT id FROM smimerelay_hold`)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	before, err := q.loadHold(t.Context(), ids[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), report(t, "n1", "b@example.net")); err != nil {
		t.Fatal(err)
	}
	if err := q.resolve(t.Context(), before, relay.Batch{Held: &before.hold}); err != nil {
		t.Fatal(err)
	}
	wantNotes(t, q, noSuchUser)
	if due, err := q.due(t.Context()); err != nil || len(due) != 1 {
		t.Errorf("%d are due: %v", len(due), err)
	}
}

// A message that another node is holding when the report comes, and that did not ask as the
// recipient was asked a while ago, is returned too.
func TestReportWhileAnotherNodeHolds(t *testing.T) {
	t.Run(onPostgreSQL, testReportWhileAnotherNodeHolds)
}

func testReportWhileAnotherNodeHolds(t *testing.T) {
	place := newPlace(t)
	q, other := open(t, Config{Place: place, Deliverer: newHop(nil)}), open(t, Config{Place: place, Deliverer: newHop(nil)})
	first, second := waitingHold(t, "b@example.net"), waitingHold(t, "b@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &first, Questions: []relay.Question{returnable(t, "b@example.net", "n1")}}); err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	holding := make(chan error, 1)
	go func() {
		holding <- other.writer.write(t.Context(), func(tx *sql.Tx) error {
			if err := other.insertHold(t.Context(), tx, &second); err != nil {
				return err
			}
			err := other.insertQuestions(t.Context(), tx, []relay.Question{returnable(t, "b@example.net", "n2")})
			close(entered)
			<-leave
			return err
		})
	}()
	<-entered
	reported := make(chan error, 1)
	go func() { reported <- q.Put(t.Context(), report(t, "n1", "b@example.net")) }()
	waits(t, q.db)
	close(leave)
	if err := <-holding; err != nil {
		t.Fatal(err)
	}
	if err := <-reported; err != nil {
		t.Fatal(err)
	}
	wantNotes(t, q, noSuchUser, noSuchUser)
}

// A report finds its question where the mail has moved to or was restored, and what waits on hold
// there waits on.
func TestReportAfterAMove(t *testing.T) { each(t, testReportAfterAMove) }

func testReportAfterAMove(t *testing.T) {
	place, file := newPlace(t), filepath.Join(t.TempDir(), "backup.db")
	q := open(t, Config{Place: place, Deliverer: newHop(nil)})
	h := waitingHold(t, "b@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{returnable(t, "b@example.net", "n1")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Copy(t.Context(), place, file); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	moved, restored := newPlace(t), newPlace(t)
	if _, err := Restore(t.Context(), file, restored, true, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Move(t.Context(), place, moved); err != nil {
		t.Fatal(err)
	}
	for wantDue, p := range []Place{restored, moved} {
		other := open(t, Config{Place: p, Deliverer: newHop(nil)})
		if err := other.Put(t.Context(), report(t, "n1", "b@example.net")); err != nil {
			t.Fatal(err)
		}
		wantNotes(t, other, noSuchUser)
		if due, err := other.due(t.Context()); err != nil || len(due) != wantDue {
			t.Errorf("%d are due: %v", len(due), err)
		}
	}
}

// Many reports, most of them replayed, end each wait once.
func TestReportsInAFlood(t *testing.T) { each(t, testReportsInAFlood) }

func testReportsInAFlood(t *testing.T) {
	next := newHop(nil)
	q := open(t, Config{Place: newPlace(t), Deliverer: next, Look: time.Millisecond, Decider: decider{reconsider: giveBackUnreached(t)}})
	h := waitingHold(t, "b@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &h}); err != nil {
		t.Fatal(err)
	}
	one := returnable(t, "b@example.net", "n1")
	if err := q.writer.write(t.Context(), func(tx *sql.Tx) error { // as if it was delivered
		_, err := tx.ExecContext(t.Context(), `INSERT INTO smimerelay_asked (recipient, message_id, until, number) VALUES ($1, $2, $3, $4)`,
			asked(one.Recipients[0].Address), one.Asks.MessageID, time.Now().UnixMilli(), one.Asks.Number)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	var flood sync.WaitGroup
	for range 16 {
		flood.Go(func() {
			for range 20 {
				if err := q.Put(t.Context(), report(t, "n1", "b@example.net")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	flood.Wait()
	next.wait(t)
	drained(t, q)
	nothingLeft(t, q)
	if n := next.attempts["a@example.org"]; n != 1 {
		t.Errorf("the sender got %d reports", n)
	}
}
