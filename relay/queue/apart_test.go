package queue

import (
	"database/sql"
	"errors"
	"testing"
)

// A change that fails is undone, and those that share its transaction are stored.
func TestChangesAreKeptApart(t *testing.T) { each(t, testChangesAreKeptApart) }

func testChangesAreKeptApart(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	mark := func(name string, err error) *change {
		return &change{apply: func(tx *sql.Tx) error {
			if _, e := tx.Exec(`INSERT INTO smimerelay_moved (mark) VALUES ($1)`, name); e != nil {
				return e
			}
			return err
		}}
	}
	refused := errors.New("refused")
	batch := []*change{mark("first", nil), mark("bad", refused), mark("first", nil), mark("last", nil)}
	if err := q.writer.commit(batch); err != nil {
		t.Fatal(err)
	}
	// The third is one that the database refuses, as it is there twice.
	if batch[0].err != nil || !errors.Is(batch[1].err, refused) || batch[2].err == nil || batch[3].err != nil {
		t.Errorf("errors %v, %v, %v, %v", batch[0].err, batch[1].err, batch[2].err, batch[3].err)
	}
	var all string
	rows, err := q.db.Query(`SELECT mark FROM smimerelay_moved ORDER BY mark`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all += name + " "
	}
	if err := rows.Err(); err != nil || all != "first last " {
		t.Errorf("stored: %s(%v)", all, err)
	}
}
