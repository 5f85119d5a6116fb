package history

import (
	"log/slog"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// TestChangesStayInOrder: what happened while a row could not be written is in it before what
// happens later.
func TestChangesStayInOrder(t *testing.T) {
	to, err := address.Parse("recipient@example.net")
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{
		cfg:  WriterConfig{Clock: time.Now, Log: slog.New(slog.DiscardHandler)},
		rows: pending{by: map[rowKey]*Row{}}, changes: early{by: map[rowKey][]waiting{}},
	}
	change := func(second int, kind EventKind, outcome Outcome) Change {
		return Change{ID: "id", Recipient: to, Event: Event{Time: time.Unix(int64(second), 0), Kind: kind}, Outcome: outcome}
	}
	w.Put(Row{ID: "id", Recipient: to, Outcome: Held})
	rows, changes := w.take(false)
	w.Change(change(1, Released, Queued))
	w.Change(change(2, Attempt, ""))
	w.giveBack(rows, changes)
	w.Change(change(3, Attempt, Delivered))
	rows, changes = w.take(true)
	if len(rows) != 1 || len(changes) != 0 {
		t.Fatalf("%d rows and %d changes", len(rows), len(changes))
	}
	e := rows[0].Events
	if rows[0].Outcome != Delivered || len(e) != 3 || e[1].Attempt != 1 || e[2].Attempt != 2 {
		t.Errorf("%s, %+v", rows[0].Outcome, e)
	}
}
