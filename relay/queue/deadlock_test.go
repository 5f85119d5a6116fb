package queue

import (
	"database/sql"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// A transaction that PostgreSQL ends because of a deadlock is made again: no client is
// deferred for it.
func TestDeadlock(t *testing.T) { t.Run(onPostgreSQL, testDeadlock) }

func testDeadlock(t *testing.T) {
	q := open(t, Config{Place: newPlace(t), Deliverer: newHop(nil)})
	ask := func(ids ...string) error {
		return q.Put(t.Context(), relay.Batch{Questions: []relay.Question{
			question(t, "b@example.net", ids[0], 0), question(t, "c@example.net", ids[1], 0),
		}})
	}
	if err := ask("<1@gw>", "<2@gw>"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if deadlocked(t, q, ask) {
			return
		}
	}
	t.Error("the batch was never the one that PostgreSQL ended")
}

// deadlocked has a batch and another transaction wait for each other, and reports whether the
// batch was ended: the one is that looks for the deadlock first.
func deadlocked(t *testing.T, q *Queue, ask func(ids ...string) error) bool {
	t.Helper()
	tx, err := q.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	lock := func(to string) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE smimerelay_question SET until = until WHERE recipient = $1`, asked(addr(t, to)))
		return err
	}
	if err := lock("c@example.net"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- ask("<3@gw>", "<4@gw>") }()
	waits(t, q.db)
	other := lock("b@example.net")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the batch was refused: %v", err)
	}
	if got, err := q.Asked(t.Context(), addr(t, "c@example.net"), "<4@gw>"); !got || err != nil {
		t.Errorf("the batch is not stored: %v", err)
	}
	return other == nil
}

// waits returns when a transaction of the database waits for another.
func waits(t *testing.T, db *sql.DB) {
	t.Helper()
	for until := time.Now().Add(longestWait); ; {
		var n int
		err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		switch {
		case err != nil:
			t.Fatal(err)
		case n > 0:
			return
		case time.Now().After(until):
			t.Fatal("no transaction waits")
		}
	}
}
