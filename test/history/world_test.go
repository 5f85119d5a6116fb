// Package history holds no code: its tests and benchmarks try the history with both
// databases, and with a million rows.
package history

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/smime/address"
)

// begin is the time of the first row.
var begin = time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)

// server is one for all tests; TestMain stops it.
var server = sync.OnceValues(pgtest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func newDatabase(tb testing.TB) history.Place {
	tb.Helper()
	s, err := server()
	if err != nil {
		tb.Fatal(err)
	}
	return history.Place{URL: s.Database(tb)}
}

func newFile(tb testing.TB) history.Place {
	return history.Place{Path: filepath.Join(tb.TempDir(), "history.db")}
}

// engines are the kinds of stores.
var engines = []struct {
	name  string
	place func(testing.TB) history.Place
}{{"sqlite", newFile}, {"postgresql", newDatabase}}

// each runs a test on an empty history of each kind.
func each(t *testing.T, test func(*testing.T, *history.Store)) {
	t.Helper()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, open(t, e.place(t))) })
	}
}

func open(tb testing.TB, p history.Place) *history.Store {
	tb.Helper()
	s, err := history.Open(context.Background(), p)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// database opens the database of a history itself.
func database(tb testing.TB, p history.Place) *sql.DB {
	tb.Helper()
	db := connect(tb, p)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func connect(tb testing.TB, p history.Place) *sql.DB {
	tb.Helper()
	driver, name := "sqlite", p.Path
	if p.URL != "" {
		driver, name = "pgx", p.URL
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// exec runs a statement in it.
func exec(tb testing.TB, p history.Place, statement string, args ...any) {
	tb.Helper()
	db := connect(tb, p)
	if _, err := db.Exec(statement, args...); err != nil {
		tb.Error(err)
	}
	if err := db.Close(); err != nil {
		tb.Error(err)
	}
	if tb.Failed() {
		tb.FailNow()
	}
}

func write(tb testing.TB, s *history.Store, b history.Batch) []history.Change {
	tb.Helper()
	unmatched, err := s.Write(context.Background(), b)
	if err != nil {
		tb.Fatal(err)
	}
	return unmatched
}

func addr(tb testing.TB, text string) address.Address {
	tb.Helper()
	a, err := address.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// row makes the n-th row: messages have one recipient each.
func row(tb testing.TB, n int) history.Row {
	r := history.Row{
		Time: begin.Add(time.Duration(n) * time.Second), ID: fmt.Sprintf("id%07d", n), QueueID: fmt.Sprintf("Q%07d", n),
		MessageID: fmt.Sprintf("<m%d@example.org>", n), Listener: "outbound", Client: "192.0.2.1", Direction: "outbound",
		Sender: addr(tb, fmt.Sprintf("sender%d@example.org", n%1000)), Recipient: addr(tb, fmt.Sprintf("recipient%d@example.net", n%5000)),
		Size: 4711, Rule: "partners", Line: 42, Steps: []string{"sign", "encrypt"}, Outcome: history.Delivered,
		Protection: "signed, encrypted", Cipher: "aes-256-gcm",
	}
	if n%100 == 0 {
		r.Outcome, r.Cause, r.Protection, r.Cipher = history.Refused, "certificate", "", ""
	}
	return r
}

func rows(tb testing.TB, from, until int) (all []history.Row) {
	for n := from; n < until; n++ {
		all = append(all, row(tb, n))
	}
	return all
}

func search(tb testing.TB, s *history.Store, q history.Query) history.Page {
	tb.Helper()
	page, err := s.Search(context.Background(), q)
	if err != nil {
		tb.Fatal(err)
	}
	return page
}
