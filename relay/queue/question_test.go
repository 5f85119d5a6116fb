package queue

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// question asks an address by a message.
func question(t testing.TB, to, id string, again time.Duration) relay.Question {
	d := delivery(t, "", to)
	d.Asks = &relay.Asks{MessageID: id, Sender: addr(t, "a@example.org")}
	return relay.Question{Delivery: d, Again: again}
}

// wantQuestions compares the deliveries of the queue with how many there should be.
func wantQuestions(t *testing.T, q *Queue, want int) {
	t.Helper()
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != want {
		t.Fatalf("%d deliveries, want %d: %v", len(list), want, err)
	}
}

// A recipient is asked once in the time, whatever the case of the address, and by
// whichever node; a batch that fails has asked no one.
func TestQuestionsAreAskedOnce(t *testing.T) { each(t, testQuestionsAreAskedOnce) }

func testQuestionsAreAskedOnce(t *testing.T) {
	now := time.Now()
	c := Config{Place: newPlace(t), Deliverer: newHop(nil), Clock: func() time.Time { return now }}
	q := open(t, c)
	put := func(b relay.Batch) {
		t.Helper()
		if err := q.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	h := held(t, "b@example.net")
	bad := question(t, "b@example.net", "<0@gw>", time.Hour)
	bad.Message = nil
	if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{bad}}); err == nil {
		t.Fatal("a question without a message was stored")
	}
	put(relay.Batch{Held: &h, Questions: []relay.Question{question(t, "c@example.net", "<2@gw>", time.Hour), question(t, "b@example.net", "<1@gw>", time.Hour)}})
	wantQuestions(t, q, 2)
	put(relay.Batch{Held: &h, Questions: []relay.Question{question(t, "B@EXAMPLE.net", "<3@gw>", time.Hour)}})
	wantQuestions(t, q, 2)
	stop(t, q)
	q = open(t, c)
	put(relay.Batch{Questions: []relay.Question{question(t, "b@example.net", "<4@gw>", time.Hour)}})
	wantQuestions(t, q, 2)
	for id, want := range map[string]bool{"<1@gw>": true, "<2@gw>": false, "<3@gw>": false, "<4@gw>": false} {
		if got, err := q.Asked(t.Context(), h.Envelope.Recipients[0].Address, id); got != want || err != nil {
			t.Errorf("asked by %s: %v, %v", id, got, err)
		}
	}
	now = now.Add(time.Hour)
	put(relay.Batch{Questions: []relay.Question{question(t, "b@example.net", "<5@gw>", time.Hour)}})
	wantQuestions(t, q, 3)
	if got, err := q.Asked(t.Context(), h.Envelope.Recipients[0].Address, "<5@gw>"); !got || err != nil {
		t.Errorf("asked again: %v, %v", got, err)
	}
	kept := func() (n int) {
		t.Helper()
		if err := q.forgetQuestions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := q.db.QueryRowContext(t.Context(), `SELECT count(*) FROM smimerelay_question`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := kept(); n != 2 {
		t.Errorf("%d questions are kept, though an answer may still come", n)
	}
	now = now.Add(answerable)
	if left := kept(); left != 1 {
		t.Errorf("%d questions are kept", left)
	}
	if n, err := q.CountHeld(t.Context()); err != nil || n.Waiting != 2 {
		t.Errorf("%+v are held: %v", n, err)
	}
}

// A question that does not arrive frees its recipient to be asked again, and the sender of the
// message that waits learns of it.
func TestQuestionsThatFail(t *testing.T) { each(t, testQuestionsThatFail) }

func testQuestionsThatFail(t *testing.T) {
	var mu sync.Mutex
	var about []relay.Event
	next := newHop(func(to string, attempt int) error {
		if to == "b@example.net" && attempt == 1 {
			return fault.New(fault.Refused, "no such mailbox", nil)
		}
		return nil
	})
	q := open(t, Config{Place: newPlace(t), Deliverer: next, Decider: decider{report: func(to relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		about = append(about, e)
		if r := e.About[0].Recipient; !slices.Equal(r.Notify, []string{"DELAY"}) || r.Original != "x@example.net" || to.Params.EnvID != "e1" {
			t.Errorf("what the sender asked for is lost: %+v, %+v", r, to.Params)
		}
		return delivery(t, "", to.Sender.String()), true, nil
	}}})
	start(t, q)
	h := held(t, "b@example.net")
	put := func(id string) {
		t.Helper()
		one := question(t, "b@example.net", id, time.Hour)
		one.Asks.Held = relay.Recipient{Address: addr(t, "b@example.net"), Notify: []string{"DELAY"}, OriginalType: "rfc822", Original: "x@example.net"}
		one.Asks.EnvID = "e1"
		if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{one}}); err != nil {
			t.Fatal(err)
		}
	}
	put("<1@gw>")
	if got := next.wait(t); got.Recipients[0].Address.String() != "a@example.org" {
		t.Errorf("the report goes to %s", got.Recipients[0].Address)
	}
	mu.Lock()
	if len(about) != 1 || about[0].Kind != relay.Delayed || len(about[0].About) != 1 || !strings.Contains(about[0].About[0].Err.Error(), "no such mailbox") {
		t.Errorf("reported %+v", about)
	}
	mu.Unlock()
	b := h.Envelope.Recipients[0].Address
	if got, err := q.Asked(t.Context(), b, "<1@gw>"); got || err != nil {
		t.Errorf("an answer to the question that did not arrive counts: %v", err)
	}
	put("<2@gw>")
	next.wait(t)
	if got, err := q.Asked(t.Context(), b, "<2@gw>"); !got || err != nil {
		t.Errorf("not asked again: %v", err)
	}
}

// Who is asked again may still answer the older question.
func TestOlderQuestionIsAnswered(t *testing.T) { each(t, testOlderQuestionIsAnswered) }

func testOlderQuestionIsAnswered(t *testing.T) {
	now := time.Now()
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil), Clock: func() time.Time { return now }})
	h := held(t, "b@example.net")
	for _, id := range []string{"<1@gw>", "<2@gw>"} {
		if err := q.Put(t.Context(), relay.Batch{Held: &h, Questions: []relay.Question{question(t, "b@example.net", id, time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Hour)
	}
	for id, want := range map[string]bool{"<1@gw>": true, "<2@gw>": true, "<3@gw>": false} {
		if got, err := q.Asked(t.Context(), h.Envelope.Recipients[0].Address, id); got != want || err != nil {
			t.Errorf("asked by %s: %v, %v", id, got, err)
		}
	}
}

// A node of an earlier release knows only the first table.
func TestQuestionOfEarlierReleaseIsAnswered(t *testing.T) {
	each(t, testQuestionOfEarlierReleaseIsAnswered)
}

func testQuestionOfEarlierReleaseIsAnswered(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	if _, err := q.db.ExecContext(t.Context(), `INSERT INTO smimerelay_question (recipient, message_id, until) VALUES ($1, '<1@gw>', $2)`,
		asked(addr(t, "b@example.net")), time.Now().Add(time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"<1@gw>": true, "<2@gw>": false} {
		if got, err := q.Asked(t.Context(), addr(t, "b@example.net"), id); got != want || err != nil {
			t.Errorf("asked by %s: %v, %v", id, got, err)
		}
	}
}

// A question that could be made only when the held message was looked at again is stored with
// what became of the message.
func TestQuestionOfHeldMessage(t *testing.T) { each(t, testQuestionOfHeldMessage) }

func testQuestionOfHeldMessage(t *testing.T) {
	next := newHop(nil)
	q := open(t, Config{Place: newPlace(t), Deliverer: next, Decider: decider{reconsider: func(_ context.Context, h relay.Hold, _ relay.Order) (relay.Batch, error) {
		if !h.IsUnasked(0) {
			return relay.Batch{Held: &h}, nil
		}
		h.Unasked = nil
		return relay.Batch{Held: &h, Questions: []relay.Question{question(t, "b@example.net", "<1@gw>", time.Hour)}}, nil
	}}})
	h := held(t, "b@example.net")
	h.Unasked = []bool{true}
	if err := q.Put(t.Context(), relay.Batch{Held: &h}); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	if err := q.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	next.wait(t)
	if got, err := q.Asked(t.Context(), h.Envelope.Recipients[0].Address, "<1@gw>"); !got || err != nil {
		t.Errorf("not asked: %v", err)
	}
}

// A question that an administrator removed was not asked.
func TestQuestionIsDropped(t *testing.T) { each(t, testQuestionIsDropped) }

func testQuestionIsDropped(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	put := func(id string) {
		t.Helper()
		if err := q.Put(t.Context(), relay.Batch{Questions: []relay.Question{question(t, "b@example.net", id, time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	put("<1@gw>")
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if d, err := q.Drop(t.Context(), list[0].ID); err != nil || d.ID != "" {
		t.Fatalf("%+v, %v", d, err)
	}
	put("<2@gw>")
	wantQuestions(t, q, 1)
}

// Who was asked is asked no more, and may answer, where the mail has moved to or was restored.
func TestQuestionsMoveAndAreRestored(t *testing.T) { each(t, testQuestionsMoveAndAreRestored) }

func testQuestionsMoveAndAreRestored(t *testing.T) {
	now := time.Now()
	place, file := newPlace(t), filepath.Join(t.TempDir(), "backup.db")
	q := open(t, Config{Place: place, Deliverer: newHop(nil), Clock: func() time.Time { return now }})
	put := func(q *Queue, id string) {
		t.Helper()
		if err := q.Put(t.Context(), relay.Batch{Questions: []relay.Question{question(t, "b@example.net", id, time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	put(q, "<1@gw>")
	now = now.Add(2 * time.Hour)
	put(q, "<2@gw>")
	if _, err := Copy(t.Context(), place, file); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	moved, restored := newPlace(t), newPlace(t)
	if _, err := Restore(t.Context(), file, restored, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Move(t.Context(), place, moved); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Place{"moved": moved, "restored": restored} {
		other := open(t, Config{Place: p, Deliverer: newHop(nil), Clock: func() time.Time { return now }})
		put(other, "<3@gw>")
		wantQuestions(t, other, 2)
		for id, want := range map[string]bool{"<1@gw>": true, "<2@gw>": true, "<3@gw>": false} {
			if got, err := other.Asked(t.Context(), addr(t, "b@example.net"), id); got != want || err != nil {
				t.Errorf("%s: asked by %s: %v, %v", name, id, got, err)
			}
		}
	}
	left := open(t, Config{Place: place, Deliverer: newHop(nil), Clock: func() time.Time { return now }})
	if got, err := left.Asked(t.Context(), addr(t, "b@example.net"), "<1@gw>"); got || err != nil {
		t.Errorf("who was asked is still noted in the old place: %v", err)
	}
}
