package history

import (
	"context"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// mixed are rows of several rules, listeners, directions and outcomes, some of which meet in few
// rows or in none. Some have one time.
func mixed(t *testing.T) (all []history.Row) {
	for n := range 400 {
		r := row(t, n)
		r.Time = begin.Add(time.Duration(n/3) * time.Minute)
		r.Rule = []string{"partners", "default", ""}[n%3]
		r.Listener = []string{"outbound", "relay"}[n/2%2]
		r.Direction = []string{"outbound", "inbound"}[n/5%2]
		r.Outcome = []history.Outcome{history.Delivered, history.Queued, history.Refused, history.Held}[n/7%4]
		if n == 123 {
			r.Rule, r.Listener = "rare", "other"
		}
		all = append(all, r)
	}
	return all
}

// matches reports whether a query asks for a row.
func matches(q history.Query, r history.Row) bool {
	is := func(asked, has string) bool { return asked == "" || asked == has }
	return is(q.Rule, r.Rule) && is(q.Listener, r.Listener) && is(q.Direction, r.Direction) && is(string(q.Outcome), string(r.Outcome)) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) && (q.Until.IsZero() || r.Time.Before(q.Until))
}

// pages reads all pages of a search.
func pages(t *testing.T, s *history.Store, q history.Query) (ids []string) {
	for {
		page := search(t, s, q)
		for _, r := range page.Rows {
			ids = append(ids, r.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
}

// TestSearchByClass: each combination of rule, listener, direction, outcome and time finds what
// has all of it, newest first, from page to page, also after outcomes have changed.
func TestSearchByClass(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		all := mixed(t)
		write(t, s, history.Batch{Rows: all})
		var changes []history.Change
		for n := 0; n < len(all); n += 10 {
			all[n].Outcome = history.Failed
			changes = append(changes, history.Change{ID: all[n].ID, Recipient: all[n].Recipient, Outcome: history.Failed})
		}
		if left := write(t, s, history.Batch{Changes: changes}); len(left) > 0 {
			t.Fatal(left)
		}
		findsByClass(t, s, all)
	})
}

// findsByClass searches by each combination, and wants the rows that match.
func findsByClass(t *testing.T, s *history.Store, all []history.Row) {
	t.Helper()
	middle, later := begin.Add(40*time.Minute), begin.Add(70*time.Minute)
	for _, q := range combinations() {
		for _, when := range []history.Query{{}, {Since: middle}, {Until: later}, {Since: middle, Until: later}} {
			q.Since, q.Until, q.Limit = when.Since, when.Until, 17
			var want []string
			for _, r := range slices.Backward(all) {
				if matches(q, r) {
					want = append(want, r.ID)
				}
			}
			if got := pages(t, s, q); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v: got %v, want %v", q, got, want)
			}
		}
	}
}

// combinations are queries for some of the four, or none.
func combinations() (all []history.Query) {
	for _, rule := range []string{"", "partners", "rare", "unknown"} {
		for _, listener := range []string{"", "relay", "other"} {
			for _, direction := range []string{"", "inbound"} {
				for _, outcome := range []history.Outcome{"", history.Delivered, history.Failed, history.Removed} {
					all = append(all, history.Query{Rule: rule, Listener: listener, Direction: direction, Outcome: outcome})
				}
			}
		}
	}
	return all
}

// TestRowsWithoutClass: what an earlier release wrote is found by rule, listener, direction and
// outcome at once, and gets its class from who writes.
func TestRowsWithoutClass(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			p := &place{Place: e.place(t)}
			all := mixed(t)
			write(t, open(t, p.Place), history.Batch{Rows: all})
			exec(t, p.Place, `UPDATE smimerelay_history SET class = NULL WHERE seq % 3 <> 0`)
			s := open(t, p.Place)
			findsByClass(t, s, all)
			w := writer(p, newLines(), new(atomic.Int64))
			waitForClasses(t, p.Place)
			if err := w.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			findsByClass(t, s, all)
		})
	}
}

// waitForClasses waits until all rows have a class.
func waitForClasses(t *testing.T, p history.Place) {
	t.Helper()
	db := database(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		var without bool
		if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM smimerelay_history WHERE class IS NULL)`).Scan(&without); err != nil {
			t.Fatal(err)
		}
		if !without {
			return
		}
	}
}

// TestOutcomeChangedByAnotherRelease: a node of an earlier release beside this one changes the
// outcome of a row and leaves its class as it is; the row is found by its outcome after the next
// start, and the index of such rows is empty again.
func TestOutcomeChangedByAnotherRelease(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			p := e.place(t)
			queued := rows(t, 1, 3)
			for i := range queued {
				queued[i].Outcome = history.Queued
			}
			write(t, open(t, p), history.Batch{Rows: queued})
			exec(t, p, `UPDATE smimerelay_history SET outcome = 'delivered' WHERE id = '`+queued[1].ID+`'`)
			exec(t, p, `UPDATE smimerelay_history SET outcome = 'of a later release' WHERE id = '`+queued[0].ID+`'`)
			s := open(t, p)
			if got := search(t, s, history.Query{Outcome: history.Delivered}).Rows; len(got) != 1 || got[0].ID != queued[1].ID {
				t.Errorf("%+v", got)
			}
		})
	}
}
