package history

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// TestRareRowsAreNotLookedForAmongAll: PostgreSQL, which may plan a statement without the values
// that are asked for, reads few rows for a search by what few have, or none, or what rarely meets.
func TestRareRowsAreNotLookedForAmongAll(t *testing.T) {
	p := newDatabase(t)
	all := rows(t, 0, 5000)
	rare := row(t, 1)
	rare.Rule, rare.Listener = "rare", "rare"
	meets := row(t, 2)
	meets.Listener = "rare"
	use(t, p, func(s *history.Store) { write(t, s, history.Batch{Rows: append(all, rare, meets)}) })
	exec(t, p, `ANALYZE smimerelay_history`)
	exec(t, p, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database()); END $$`)
	db := database(t, p)
	db.SetMaxOpenConns(1)
	before := read(t, db)
	use(t, p, func(s *history.Store) {
		for _, q := range []history.Query{
			{Rule: "rare"}, {Rule: "unknown"}, {Direction: "inbound"}, {Rule: meets.Rule, Listener: "rare"}, {Rule: meets.Rule, Outcome: history.Failed},
		} {
			search(t, s, q)
		}
	})
	if n := read(t, db) - before; n > 500 {
		t.Errorf("%d rows were read of %d", n, len(all))
	}
}

// use opens a history, and closes it.
func use(t *testing.T, p history.Place, do func(*history.Store)) {
	t.Helper()
	s, err := history.Open(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// read is how many rows and entries of indexes were read, by those who have gone: the server counts
// them when a connection ends.
func read(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var others int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others); err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			break
		}
		<-tick.C
	}
	if err := db.QueryRowContext(ctx, `SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'smimerelay_history')
		+ (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'smimerelay_history')`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
