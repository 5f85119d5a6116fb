package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
)

// counting counts what is compiled.
type counting struct {
	driverConn
	compiled map[string]int
}

func (c counting) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.compiled[query]++
	return c.driverConn.PrepareContext(ctx, query)
}

// countingConnector makes kept connections over counting ones.
type countingConnector struct {
	driver.Connector
	compiled map[string]int
	last     *conn
}

func (c *countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	base, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c.last = &conn{driverConn: counting{base.(driverConn), c.compiled}}
	return c.last, nil
}

// open opens a database on one connection, and returns what counts its statements.
func open(t *testing.T) (*sql.DB, *countingConnector) {
	t.Helper()
	base, err := sqlite.NewConnector("file:" + filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := &countingConnector{Connector: base, compiled: map[string]int{}}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, db, `CREATE TABLE x (id INTEGER PRIMARY KEY, y TEXT UNIQUE)`)
	return db, c
}

func must(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestStatementsAreCompiledOnce(t *testing.T) {
	db, c := open(t)
	const insert, find = `INSERT INTO x (y) VALUES (?)`, "-- name: Find\nSELECT id FROM x WHERE y = ?"
	for i := range 5 {
		must(t, db, insert, fmt.Sprint(i))
		var id int
		if err := db.QueryRow(find, fmt.Sprint(i)).Scan(&id); err != nil || id != i+1 {
			t.Fatalf("row %d, %v", id, err)
		}
		if err := db.QueryRow(find, "none").Scan(&id); err != sql.ErrNoRows {
			t.Fatalf("a row that is not there: %v", err)
		}
	}
	if c.compiled[insert] != 1 || c.compiled[find] != 1 {
		t.Errorf("compiled %v", c.compiled)
	}
}

func TestStatementThatFailsLeavesNothing(t *testing.T) {
	db, _ := open(t)
	const insert = `INSERT INTO x (y) VALUES (?)`
	must(t, db, insert, "a")
	for range 2 {
		if _, err := db.Exec(insert, "a"); err == nil {
			t.Fatal("inserted twice")
		}
	}
	must(t, db, insert, "b")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.QueryContext(ctx, `SELECT id FROM x`); err == nil {
		t.Error("a query after its context ended")
	}
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM x`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestStatementRunsInsideItsOwnRows(t *testing.T) {
	db, _ := open(t)
	for i := range 4 {
		must(t, db, `INSERT INTO x (y) VALUES (?)`, fmt.Sprint(i))
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	pairs := 0
	each := func(visit func()) {
		rows, err := tx.Query(`SELECT id FROM x`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			visit()
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	each(func() { each(func() { pairs++ }) })
	if pairs != 16 {
		t.Errorf("%d pairs of 4 rows", pairs)
	}
}

func TestStatementsFollowTheTables(t *testing.T) {
	db, _ := open(t)
	const find = `SELECT * FROM x`
	must(t, db, `INSERT INTO x (y) VALUES ('a')`)
	for n := 2; n < 5; n++ {
		rows, err := db.Query(find)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil || len(columns) != n || !rows.Next() {
			t.Errorf("columns %q instead of %d: %v", columns, n, err)
		}
		rows.Close()
		must(t, db, fmt.Sprintf(`ALTER TABLE x ADD COLUMN more%d`, n))
	}
}

func TestKeptStatementsAreBounded(t *testing.T) {
	db, c := open(t)
	for i := range 3 * maxKept {
		must(t, db, fmt.Sprintf(`SELECT %d`, i))
	}
	if n := len(c.last.idle); n == 0 || n > maxKept {
		t.Errorf("%d statements are kept, at most %d should be", n, maxKept)
	}
}

// TestOpen: what the stores open keeps its statements.
func TestOpen(t *testing.T) {
	db, err := Open("file:" + filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	single, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer single.Close()
	if err := single.QueryRowContext(context.Background(), `SELECT 1`).Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	err = single.Raw(func(c any) error {
		if kept, ok := c.(*conn); !ok || len(kept.idle) != 1 {
			t.Errorf("the connection is a %T", c)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
