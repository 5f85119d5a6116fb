package history

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// distant are n rows of one sender, a hundred days apart.
func distant(t *testing.T, n int) []history.Row {
	all := rows(t, 0, n)
	for i := range all {
		all[i].Time = begin.AddDate(0, 0, 100*i)
		all[i].Sender = addr(t, "sender@example.org")
	}
	return all
}

// TestSearchGoesThroughTime: rows are found however far they are apart, newest first, within
// the time that is asked for and from page to page.
func TestSearchGoesThroughTime(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		all := distant(t, 12)
		write(t, s, history.Batch{Rows: all})
		for n, r := range all {
			if got := search(t, s, history.Query{Text: r.ID}).Rows; len(got) != 1 || got[0].ID != r.ID {
				t.Errorf("row %d by its ID: %+v", n, got)
			}
		}
		within := search(t, s, history.Query{Text: "sender@example.org", Since: all[3].Time, Until: all[7].Time}).Rows
		if len(within) != 4 || within[0].ID != all[6].ID || within[3].ID != all[3].ID {
			t.Errorf("within a time: %+v", within)
		}
		q, n := history.Query{Address: addr(t, "sender@example.org"), Limit: 5}, len(all)
		for {
			page := search(t, s, q)
			for _, r := range page.Rows {
				if n--; n < 0 || r.ID != all[n].ID {
					t.Fatalf("%s is in the wrong place", r.ID)
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		if n != 0 {
			t.Errorf("%d rows were not found", n)
		}
		c := history.Change{ID: all[2].ID, Recipient: all[2].Recipient, Outcome: history.Failed}
		if left := write(t, s, history.Batch{Changes: []history.Change{c}}); len(left) > 0 {
			t.Error("no change to a row that others follow")
		}
	})
}

// withoutReferences makes rows as an earlier release wrote them.
const withoutReferences = `UPDATE smimerelay_history SET id_ref = NULL, queue_id_ref = NULL, message_id_ref = NULL,
	sender_key_ref = NULL, recipient_key_ref = NULL, class = NULL`

// TestRowsWithoutReferences: rows that an earlier release wrote are found.
func TestRowsWithoutReferences(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			p := e.place(t)
			write(t, open(t, p), history.Batch{Rows: rows(t, 0, 1500)})
			exec(t, p, withoutReferences)
			s := open(t, p)
			for _, n := range []int{0, 999, 1000, 1499} {
				r := row(t, n)
				for _, text := range []string{r.ID, r.QueueID, r.MessageID, r.Recipient.String()} {
					if len(search(t, s, history.Query{Text: text}).Rows) != 1 {
						t.Errorf("%q is not found", text)
					}
				}
				if got, err := s.Message(context.Background(), r.ID); len(got) != 1 || err != nil {
					t.Errorf("message %d: %v, %v", n, got, err)
				}
			}
		})
	}
}

// TestRowsOfAnotherRelease: what a node of an earlier release writes meanwhile into the database
// that nodes share is changed by what happens to it on another node, and then found.
func TestRowsOfAnotherRelease(t *testing.T) {
	p := &place{Place: newDatabase(t)}
	s := open(t, p.Place)
	r := row(t, 1)
	r.Outcome = history.Queued
	write(t, s, history.Batch{Rows: []history.Row{r}})
	w := writer(p, newLines(), new(atomic.Int64))
	if _, err := w.HidSubject(t.Context(), nil); err != nil { // it is open
		t.Fatal(err)
	}
	exec(t, p.Place, withoutReferences)
	w.Change(history.Change{ID: r.ID, Recipient: r.Recipient, Outcome: history.Delivered})
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := search(t, s, history.Query{Text: r.ID}).Rows; len(got) != 1 || got[0].Outcome != history.Delivered {
		t.Errorf("%+v", got)
	}
}

// TestClockThatWasWrong: a row from a time long ago or to come keeps no search busy: what is
// between has no rows and is skipped.
func TestClockThatWasWrong(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		all := rows(t, 0, 3)
		all[0].Time, all[2].Time = time.UnixMilli(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		write(t, s, history.Batch{Rows: all})
		for _, text := range []string{all[0].ID, all[1].ID, all[2].ID} {
			if len(search(t, s, history.Query{Text: text}).Rows) != 1 {
				t.Errorf("%q is not found", text)
			}
		}
		for n := range 100 {
			if found := search(t, s, history.Query{Text: fmt.Sprint("none", n)}).Rows; len(found) > 0 {
				t.Error(found)
			}
		}
	})
}
