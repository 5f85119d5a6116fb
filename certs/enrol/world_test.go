package enrol_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
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

var sealing = []byte("0123456789abcdef0123456789abcdef")

const day = 24 * time.Hour

// world is a store with an authority that keeps its ledger there.
type world struct {
	t         *testing.T
	store     *store.Store
	authority *ca.Authority
	pair      *ca.Pair

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Second)}
	w.store = testpki.Must(store.Open(t.Context(), store.Config{Key: sealing, Clock: w.clock, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() { w.must(w.store.Close()) })
	w.pair = testpki.Must(ca.Create(ca.Plan{Organization: "X", Country: "DE", URL: "http://pki.example.com/", Key: "p256", Clock: w.clock}))
	w.authority = authorityOf(t, w.store, w.pair.Issuing, w.clock)
	return w
}

func authorityOf(t testing.TB, s *store.Store, issuing *certs.Identity, clock func() time.Time) *ca.Authority {
	t.Helper()
	key, ok := issuing.Key.(crypto.Signer)
	if !ok {
		t.Fatal("the authority's key cannot sign")
	}
	return testpki.Must(ca.New(ca.Config{Certificate: issuing.Certificate, Key: key, Ledger: s,
		Place: ca.Place{URL: "http://pki.example.com/", Name: ca.Issuing}, Clock: clock}))
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) builtin() *builtin.Provider {
	return &builtin.Provider{Authority: w.authority, PerHour: 10, Store: w.store}
}

// enroller is one with one enrolment for all addresses.
func (w *world) enroller(p enrol.Provider, change func(*enrol.Enrolment)) *enrol.Enroller {
	en := enrol.Enrolment{
		Name: "test", Match: func(address.Address) bool { return true }, Key: "p256", RenewBefore: 30 * day, PerHour: 10,
		Provider: p, Origin: store.Issued,
	}
	if change != nil {
		change(&en)
	}
	return enrol.New(enrol.Config{
		Enrolments: []enrol.Enrolment{en}, Store: w.store, Keys: w.store.Keys(), Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	})
}

func addr(text string) address.Address { return testpki.Must(address.Parse(text)) }

// orders are those of an address, with their keys.
func (w *world) orders(text string) []store.Order {
	w.t.Helper()
	a := addr(text)
	return testpki.Must(w.store.Orders(w.t.Context(), store.OrderQuery{Address: &a, Keys: true}))
}

// issued counts the certificates of the built-in CA for an address.
func (w *world) issued(text string) int {
	w.t.Helper()
	a := addr(text)
	return testpki.Must(w.store.Count(w.t.Context(), store.Query{Address: &a, Origins: []store.Origin{store.Issued}}))
}

// scripted is a provider that does what the test says, step by step.
type scripted struct {
	mu     sync.Mutex
	begun  int
	asked  int
	answer func(o *enrol.Order) (enrol.Answer, error)
}

func (s *scripted) Begin(_ context.Context, o *enrol.Order) (enrol.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return s.answer(o)
}

func (s *scripted) Continue(_ context.Context, o *enrol.Order) (enrol.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.answer(o)
}

// foreign is a CA elsewhere, which certifies what a request says.
func foreign(t *testing.T) func(o *enrol.Order, addresses ...string) []*x509.Certificate {
	t.Helper()
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	return func(o *enrol.Order, addresses ...string) []*x509.Certificate {
		id := testpki.Must(root.Issue(testpki.Leaf{Addresses: addresses, PrivateKey: o.Key}))
		return append([]*x509.Certificate{root.Certificate, id.Certificate}, id.Chain...)
	}
}

var errDown = errors.New("down")

var discard = slog.New(slog.DiscardHandler)

func fingerprintOf(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }
