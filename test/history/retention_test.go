package history

import (
	"context"
	"os"
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
