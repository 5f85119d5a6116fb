package enrol_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The variables that make a process of this test one that orders a certificate: the store,
// and at which look at the clock, or which step of the provider, it kills itself. The clock
// is looked at before and after every change of the store.
const (
	killStore = "ENROL_KILL_STORE"
	killAt    = "ENROL_KILL_AT"
	// killToken is the folder of the token that makes the keys; "" is none.
	killToken = "ENROL_KILL_TOKEN"
)

const killed = "alice@example.com"

func TestMain(m *testing.M) {
	if url := os.Getenv(killStore); url != "" {
		at, err := strconv.Atoi(os.Getenv(killAt))
		if err == nil {
			err = orderAndDie(url, at)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// mortal is a process that dies at a step.
type mortal struct{ left int }

func (m *mortal) step() {
	if m.left--; m.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// dying is a provider that may die before and after each call.
type dying struct {
	enrol.Provider
	*mortal
}

func (d dying) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	d.step()
	a, err := d.Provider.Begin(ctx, o)
	d.step()
	return a, err
}

func (d dying) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	d.step()
	a, err := d.Provider.Continue(ctx, o)
	d.step()
	return a, err
}

// orderAndDie orders a certificate for killed, if the store's authority is there.
func orderAndDie(url string, at int) error {
	ctx := context.Background()
	m := &mortal{left: at}
	clock := func() time.Time { m.step(); return time.Now() }
	s, err := store.Open(ctx, store.Config{URL: url, Key: sealing, Clock: clock, Log: discard})
	if err != nil {
		return err
	}
	found, err := s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}})
	if err != nil || len(found) != 1 {
		return errors.Join(err, errors.New("no authority"))
	}
	issuing, err := s.Identity(ctx, found[0].Fingerprint)
	if err != nil {
		return err
	}
	p := dying{&builtin.Provider{Authority: authorityOf(&testing.T{}, s, issuing, clock), PerHour: 10, Store: s}, m}
	e := killedEnroller(s, p, clock, os.Getenv(killToken), m.step)
	if _, err := e.Issue(ctx, addr(killed)); err != nil {
		return err
	}
	return s.Close()
}

// killedEnroller is the one of all processes.
func killedEnroller(s *store.Store, p enrol.Provider, clock func() time.Time, token string, step func()) *enrol.Enroller {
	en := enrol.Enrolment{Name: "test", Match: func(address.Address) bool { return true }, Key: "p256", Separate: true,
		RenewBefore: 30 * day, PerHour: 10, Provider: p, Origin: store.Issued}
	c := enrol.Config{Store: s, Keys: s.Keys(), Clock: clock, Log: discard}
	if token != "" {
		f := &tokenInFiles{dir: token, step: step}
		en.Token, c.TokenKey = f, f.find
	}
	c.Enrolments = []enrol.Enrolment{en}
	return enrol.New(c)
}

// TestKilled: a process that is killed at any step leaves an order that the next one
// finishes, with the key that was there: no certificate is issued twice, and each that was
// issued is used. With a token no second key is made there.
func TestKilled(t *testing.T) {
	t.Run("keys in the store", func(t *testing.T) { testKilled(t, false) })
	t.Run("keys in a token", func(t *testing.T) { testKilled(t, true) })
}

func testKilled(t *testing.T, inToken bool) {
	t.Helper()
	empty := filepath.Join(t.TempDir(), "empty.db")
	prepareKilled(t, empty)
	content := testpki.Must(os.ReadFile(empty))
	deaths := 0
	for at := 1; ; at++ {
		url := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(url, content, 0o600); err != nil {
			t.Fatal(err)
		}
		token := ""
		if inToken {
			token = t.TempDir()
		}
		died := runKilled(t, url, at, token)
		if !died {
			break
		}
		deaths++
		finishKilled(t, url, at, token)
	}
	if deaths < 12 {
		t.Errorf("only %d steps", deaths)
	}
}

func prepareKilled(t *testing.T, url string) {
	t.Helper()
	s := testpki.Must(store.Open(t.Context(), store.Config{URL: url, Key: sealing, Log: discard}))
	pair := testpki.Must(ca.Create(ca.Plan{Organization: "X", Country: "DE", URL: "http://pki.example.com/", Key: "p256"}))
	_ = testpki.Must(s.PutIdentity(t.Context(), store.Authority, pair.Issuing))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// runKilled reports whether the process died by its own hand.
func runKilled(t *testing.T, url string, at int, token string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killStore+"="+url, fmt.Sprintf("%s=%d", killAt, at), killToken+"="+token)
	out, err := cmd.CombinedOutput()
	exit := new(exec.ExitError)
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("step %d: %v: %s", at, err, out)
	}
	return false
}

// finishKilled starts again, an hour later, and counts.
func finishKilled(t *testing.T, url string, at int, token string) {
	t.Helper()
	ctx := t.Context()
	later := func() time.Time { return time.Now().Add(time.Hour) }
	s := testpki.Must(store.Open(ctx, store.Config{URL: url, Key: sealing, Clock: later, Log: discard}))
	defer s.Close()
	a := addr(killed)
	before := testpki.Must(s.Orders(ctx, store.OrderQuery{Address: &a, Keys: true}))
	found := testpki.Must(s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}}))
	issuing := testpki.Must(s.Identity(ctx, found[0].Fingerprint))
	p := &builtin.Provider{Authority: authorityOf(t, s, issuing, later), PerHour: 10, Store: s}
	e := killedEnroller(s, p, later, token, func() {})
	if err := e.Work(ctx, "test"); err != nil {
		t.Fatalf("step %d: %v", at, err)
	}
	id, err := e.Issue(ctx, a)
	if err != nil || id == nil {
		t.Fatalf("step %d: %v", at, err)
	}
	entries := testpki.Must(s.Find(ctx, store.Query{Address: &a, Origins: []store.Origin{store.Issued}}))
	ledger := testpki.Must(s.IssuedSince(ctx, issuing.Certificate.RawSubject, time.Time{}))
	orders := testpki.Must(s.Orders(ctx, store.OrderQuery{Address: &a}))
	if len(entries) != 2 || ledger != 2 || len(orders) != 2 {
		t.Errorf("step %d: %d certificates, %d in the ledger, %d orders", at, len(entries), ledger, len(orders))
	}
	if made := len((&tokenInFiles{dir: token}).names()); token != "" && made != 2 {
		t.Errorf("step %d: %d keys in the token", at, made)
	}
	for _, entry := range entries {
		if !entry.HasKey {
			t.Errorf("step %d: a certificate without its key", at)
		}
	}
	for _, o := range before {
		if o.Key == nil {
			continue // it was done
		}
		held := false
		for _, entry := range entries {
			kept := testpki.Must(s.Identity(ctx, entry.Fingerprint))
			held = held || (&certs.Identity{Certificate: kept.Certificate, Key: o.Key}).Check() == nil
		}
		if !held {
			t.Errorf("step %d: the key of order %s is gone", at, o.ID)
		}
	}
}
