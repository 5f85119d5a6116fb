package queue

import (
	"database/sql"
	"sync"
	"testing"
)

// A commit that fails is an error for all whose changes were in it, and none of
// them is stored; the next one works.
func TestFailedCommit(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	// The connection is taken, so that all of them wait for one commit.
	conn, err := q.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		// A reference to nothing that is found out when the commit is tried.
		err := q.writer.write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`PRAGMA defer_foreign_keys = ON`)
			if err == nil {
				_, err = tx.Exec(`INSERT INTO smimerelay_delivery (message_id, sender, params, created) VALUES (99, '', '{}', 0)`)
			}
			return err
		})
		if err == nil {
			t.Error("a change whose commit failed is reported as stored")
		}
	})
	stored := 0
	var mu sync.Mutex
	for range 5 {
		wg.Go(func() {
			if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err == nil {
				mu.Lock()
				defer mu.Unlock()
				stored++
			}
		})
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n, err := q.Len(t.Context()); n != stored || err != nil {
		t.Errorf("%d deliveries are stored (%v), %d were reported as stored", n, err, stored)
	}
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Error(err)
	}
}

// What an operator asks for is reported as done only when it is committed, and
// nothing of it is done otherwise.
func TestFailedCommitOfAnOrder(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	b := batch(delivery(t, "a@example.org", "b@example.net"))
	h := held(t, "c@example.net")
	b.Held = &h
	if err := q.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	entries, err := q.List(t.Context(), Filter{})
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	waiting, err := q.Held(t.Context())
	if err != nil || len(waiting) != 1 {
		t.Fatal(waiting, err)
	}
	// References to nothing that are found out when the commit is tried.
	if _, err := q.db.Exec(`CREATE TABLE test_spoilt (x INTEGER REFERENCES smimerelay_message (id) DEFERRABLE INITIALLY DEFERRED);
		CREATE TRIGGER test_job AFTER UPDATE ON river_job BEGIN INSERT INTO test_spoilt VALUES (99); END;
		CREATE TRIGGER test_delivery AFTER DELETE ON smimerelay_delivery BEGIN INSERT INTO test_spoilt VALUES (99); END;
		CREATE TRIGGER test_hold AFTER DELETE ON smimerelay_hold BEGIN INSERT INTO test_spoilt VALUES (99); END;`); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Retry(t.Context(), entries[0].ID); err == nil {
		t.Error("an attempt that is not stored is reported as ordered")
	}
	if _, err := q.Drop(t.Context(), entries[0].ID); err == nil {
		t.Error("a delivery that is still there is reported as dropped")
	}
	if _, err := q.DropHeld(t.Context(), waiting[0].ID); err == nil {
		t.Error("a held message that is still there is reported as dropped")
	}
	if list, err := q.List(t.Context(), Filter{}); err != nil || len(list) != 1 {
		t.Errorf("%d deliveries (%v), want 1", len(list), err)
	}
	if list, err := q.Held(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d held messages (%v), want 1", len(list), err)
	}
}

// A commit is on the disk when it returns, whatever the machine does then.
func TestCommitIsSynced(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "secure_delete": "1"} {
		var got string
		if err := q.db.QueryRow(`PRAGMA ` + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", pragma, got, err, want)
		}
	}
	q.reconnect()
	var got string
	if err := q.db.QueryRow(`PRAGMA synchronous`).Scan(&got); err != nil || got != "2" {
		t.Errorf("synchronous is %s (%v) on a second connection", got, err)
	}
}
