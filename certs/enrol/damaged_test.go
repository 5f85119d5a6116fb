package enrol_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/sqlitedb"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestDamagedKey: an order whose key does not open has failed, which is reported once however
// often it is looked at, and keeps no other order from its certificate.
func TestDamagedKey(t *testing.T) {
	w := newWorld(t)
	url := filepath.Join(t.TempDir(), "store.db")
	w.store = testpki.Must(store.Open(t.Context(), store.Config{URL: url, Key: sealing, Clock: w.clock, Log: discard}))
	defer w.store.Close()
	w.authority = authorityOf(t, w.store, w.pair.Issuing, w.clock)
	var log bytes.Buffer
	cfg := w.enroller(w.builtin(), func(en *enrol.Enrolment) { en.Separate = true }).Config
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	e := enrol.New(cfg)
	damaged := testpki.Must(e.Place(t.Context(), addr("alice@example.com")))
	_ = testpki.Must(e.Place(t.Context(), addr("bob@example.com")))
	damage(t, url, damaged[1].ID)
	for range 5 {
		w.must(e.Work(t.Context(), "test"))
		w.advance(2 * time.Minute)
	}
	if n := strings.Count(log.String(), "certificate order failed"); n != 1 {
		t.Errorf("reported %d times:\n%s", n, log.String())
	}
	if w.issued("bob@example.com") != 2 || w.issued("alice@example.com") != 0 {
		t.Errorf("%d and %d certificates", w.issued("bob@example.com"), w.issued("alice@example.com"))
	}
	a := addr("alice@example.com")
	for _, o := range testpki.Must(w.store.Orders(t.Context(), store.OrderQuery{Address: &a})) {
		if o.State != store.OrderFailed || !enrol.Troubled(&o) || !strings.Contains(o.Problem, "enrol revoke ") {
			t.Errorf("%s, %q", o.State, o.Problem)
		}
	}
	// Mail of the sender gets the same answer, and no other error of the store.
	if _, err := e.Issue(t.Context(), a); err == nil || !strings.Contains(err.Error(), "does not open") || !strings.Contains(err.Error(), "failed: ") {
		t.Errorf("%v", err)
	}
	w.must(e.Cancel(t.Context(), damaged[0].Bundle))
	if id, err := e.Issue(t.Context(), a); err != nil || id == nil {
		t.Errorf("after it was cancelled: %v", err)
	}
}

// TestDamagedKeyOfMail: also where mail is the first to see it.
func TestDamagedKeyOfMail(t *testing.T) {
	w := newWorld(t)
	url := filepath.Join(t.TempDir(), "store.db")
	w.store = testpki.Must(store.Open(t.Context(), store.Config{URL: url, Key: sealing, Clock: w.clock, Log: discard}))
	defer w.store.Close()
	w.authority = authorityOf(t, w.store, w.pair.Issuing, w.clock)
	e := w.enroller(w.builtin(), nil)
	a := addr("alice@example.com")
	damage(t, url, testpki.Must(e.Place(t.Context(), a))[0].ID)
	if _, err := e.Issue(t.Context(), a); err == nil || !strings.Contains(err.Error(), "failed: ") {
		t.Errorf("%v", err)
	}
}

// damage changes the sealed key of an order.
func damage(t *testing.T, url, id string) {
	t.Helper()
	db := testpki.Must(sqlitedb.OpenWriter(url))
	defer db.Close()
	if _, err := db.Exec(`UPDATE store_order SET sealed = x'0102030405' WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
}
