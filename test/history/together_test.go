package history

import (
	"context"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// TestChangesOfARowStayTogether: a row that another node writes in the middle of a batch gets all
// changes of it, once and in their order, when they are tried again.
func TestChangesOfARowStayTogether(t *testing.T) {
	p := newDatabase(t)
	s, other := open(t, p), open(t, p)
	locked, late := row(t, 1), row(t, 2)
	write(t, s, history.Batch{Rows: []history.Row{locked}})
	db := database(t, p)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`SELECT 1 FROM smimerelay_history FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	attempt := func(second int, outcome history.Outcome) history.Change {
		return history.Change{
			ID: late.ID, Recipient: late.Recipient, Outcome: outcome,
			Event: history.Event{Time: begin.Add(time.Duration(second) * time.Second), Kind: history.Attempt},
		}
	}
	unmatched := make(chan []history.Change)
	go func() {
		b := history.Batch{Changes: []history.Change{attempt(1, ""), {ID: locked.ID, Recipient: locked.Recipient, Outcome: history.Failed}, attempt(2, history.Delivered)}}
		left, err := s.Write(context.Background(), b)
		if err != nil {
			t.Error(err)
		}
		unmatched <- left
	}()
	for waits := false; !waits; {
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) > 0 FROM pg_locks WHERE NOT granted`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	write(t, other, history.Batch{Rows: []history.Row{late}})
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	left := <-unmatched
	if len(left) != 2 {
		t.Errorf("%d changes are left, want both of the row", len(left))
	}
	write(t, s, history.Batch{Changes: left})
	if got, err := s.Message(t.Context(), late.ID); err != nil || len(got) != 1 || len(got[0].Events) != 2 || got[0].Events[1].Attempt != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
