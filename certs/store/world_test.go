package store

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// now is the time of the tests.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var sealing = []byte("0123456789abcdef0123456789abcdef")

// world is an empty store of a kind.
type world struct {
	*Store
	t   testing.TB
	cfg Config
	at  time.Time
	ca  *testpki.CA
}

// each runs a test on every kind of store.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, kind := range []struct {
		name string
		url  func(t *testing.T) string
	}{
		{"memory", func(*testing.T) string { return "" }},
		{"sqlite", newFile},
		{"postgresql", newDatabase},
	} {
		t.Run(kind.name, func(t *testing.T) { test(t, newWorld(t, kind.url(t))) })
	}
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "store.db") }

// server is one for all tests; TestMain stops it.
var server = sync.OnceValues(pgtest.Start)

func newDatabase(t *testing.T) string {
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return s.Database(t)
}

func newWorld(t testing.TB, url string) *world {
	w := &world{t: t, at: now, ca: testpki.Must(testpki.NewCA(testpki.Options{
		NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0),
	}))}
	w.cfg = Config{URL: url, Key: sealing, Clock: func() time.Time { return w.at }, Log: slog.New(slog.DiscardHandler)}
	w.Store = w.open(w.cfg)
	return w
}

func (w *world) open(cfg Config) *Store {
	w.t.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// identity makes one for addresses, whose validity began some months ago.
func (w *world) identity(months int, addresses ...string) *certs.Identity {
	w.t.Helper()
	return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{
		Addresses: addresses, NotBefore: now.AddDate(0, -months, 0), NotAfter: now.AddDate(1, -months, 0),
	})))
}

func addr(text string) address.Address {
	if text == "" {
		return address.Null
	}
	return testpki.Must(address.Parse(text))
}

// must fails the test on an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func got[T any](w *world) func(T, error) T {
	return func(v T, err error) T {
		w.t.Helper()
		w.must(err)
		return v
	}
}
