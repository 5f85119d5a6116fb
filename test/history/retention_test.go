package history

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// TestRetentionByAge: what is older than the limit is gone, its counters too.
func TestRetentionByAge(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		write(t, s, history.Batch{Rows: rows(t, 0, 1300)})
		now := begin.Add(30*24*time.Hour + 1000*time.Second)
		n, err := s.Prune(context.Background(), now, history.Limits{Age: 30 * 24 * time.Hour})
		if err != nil || n != 1000 {
			t.Errorf("%d deleted, %v", n, err)
		}
		if left := search(t, s, history.Query{Limit: 1000}).Rows; len(left) != 300 || left[299].ID != row(t, 1000).ID {
			t.Errorf("%d left", len(left))
		}
		if n, err := s.Prune(context.Background(), now.AddDate(0, 1, 0), history.Limits{Age: 24 * time.Hour}); n != 300 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
		totals, err := s.Totals(context.Background(), begin, now)
		if err != nil || len(totals.Hours) != 0 {
			t.Errorf("totals: %+v, %v", totals, err)
		}
	})
}

// TestSizeIsSteady: a history that is limited by size stays as large as that, whatever
// comes; the newest rows are kept.
func TestSizeIsSteady(t *testing.T) {
	p := newFile(t)
	s := open(t, p)
	const limit = 500_000
	var sizes []int64
	for n := 0; n < 6000; n += 500 {
		write(t, s, history.Batch{Rows: rows(t, n, n+500)})
		if _, err := s.Prune(context.Background(), begin, history.Limits{Size: limit}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	t.Logf("sizes: %v", sizes)
	if last, middle := sizes[len(sizes)-1], sizes[len(sizes)/2]; last > middle+middle/10 || last > 2*limit {
		t.Errorf("the file grew from %d to %d octets, with a limit of %d", middle, last, limit)
	}
	if page := search(t, s, history.Query{Limit: 1}); page.Rows[0].ID != row(t, 5999).ID {
		t.Errorf("the newest row is %s", page.Rows[0].ID)
	}
	if len(search(t, s, history.Query{Text: row(t, 0).ID}).Rows) > 0 {
		t.Error("the oldest row is still there")
	}
}

// TestChangesAreCounted: what a row grows by counts as much as what it began with. A limit on
// the size deletes as many rows of either kind, and deleting all of them leaves nothing counted.
func TestChangesAreCounted(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		grown := func(n int) (changes []history.Change) {
			for i := range n {
				for attempt := range 5 {
					changes = append(changes, history.Change{ID: row(t, i).ID, Recipient: row(t, i).Recipient, Event: history.Event{
						Time: begin, Kind: history.Attempt, Attempt: attempt + 1, Host: "mx.example.net", Reply: strings.Repeat("x", 300)}})
				}
			}
			return changes
		}
		const n, limit = 2000, 2_000_000 // rows are deleted by hundreds
		write(t, s, history.Batch{Rows: rows(t, 0, n)})
		if deleted, err := s.Prune(context.Background(), begin, history.Limits{Size: limit}); deleted != 0 || err != nil {
			t.Fatalf("%d deleted of rows that are small, %v", deleted, err)
		}
		if unmatched := write(t, s, history.Batch{Changes: grown(n)}); len(unmatched) > 0 {
			t.Fatal(len(unmatched))
		}
		if deleted, err := s.Prune(context.Background(), begin, history.Limits{Size: limit}); deleted == 0 || deleted == n || err != nil {
			t.Errorf("%d deleted of rows that have grown, %v", deleted, err)
		}
		if _, err := s.Prune(context.Background(), begin, history.Limits{Size: 1}); err != nil {
			t.Fatal(err)
		}
		// Had too little been taken away for them, one more row would be too much now.
		write(t, s, history.Batch{Rows: rows(t, n, n+1)})
		if deleted, err := s.Prune(context.Background(), begin, history.Limits{Size: 2000}); deleted != 0 || err != nil {
			t.Errorf("%d deleted, %v", deleted, err)
		}
	})
}
