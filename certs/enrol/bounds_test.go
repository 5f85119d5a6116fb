package enrol_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
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

// lasting is a CA whose certificates are valid from and until times that a test sets.
type lasting struct {
	t           *testing.T
	root        *testpki.CA
	from, until func() time.Time
	name        string
	made        int
}

func (l *lasting) Begin(_ context.Context, o *enrol.Order) (enrol.Answer, error) {
	l.made++
	name := o.Address.String()
	if l.name != "" {
		name = l.name
	}
	id, err := l.root.Issue(testpki.Leaf{Addresses: []string{name}, PrivateKey: o.Key, NotBefore: l.from(), NotAfter: l.until()})
	if err != nil {
		return enrol.Answer{}, err
	}
	return enrol.Answer{Certificates: []*x509.Certificate{id.Certificate}}, nil
}

func (l *lasting) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return l.Begin(ctx, o)
}

// TestOrderingIsBounded: whatever certificates a CA sends, there is no new order with each
// message, or each round of those who get theirs without mail.
func TestOrderingIsBounded(t *testing.T) {
	alice := addr("alice@example.com")
	for name, c := range map[string]struct {
		from, until time.Duration
		signs       bool
	}{
		"begins tomorrow":                {day, 100 * day, false},
		"was old when it came":           {-700 * day, 20 * day, true},
		"is over in minutes":             {-day, 5 * time.Minute, true},
		"is valid for less than a round": {-time.Hour, time.Second, true},
	} {
		for _, always := range []bool{false, true} {
			w := newWorld(t)
			l := &lasting{t: t, root: testpki.Must(testpki.NewCA(testpki.Options{NotBefore: w.clock().AddDate(-3, 0, 0)})),
				from: func() time.Time { return w.clock().Add(c.from) }, until: func() time.Time { return w.clock().Add(c.until) }}
			e := w.enroller(l, func(en *enrol.Enrolment) { en.Always = []address.Address{alice} })
			for i := range 10 {
				if always {
					w.must(e.Work(t.Context(), "test"))
				} else if id, err := e.Issue(t.Context(), alice); i == 0 && (id != nil) != c.signs || (id == nil) != errors.Is(err, certs.ErrOrdered) {
					t.Errorf("%s: %v, %v", name, id, err)
				}
				w.advance(2 * time.Minute)
			}
			if l.made != 1 {
				t.Errorf("%s, always %t: %d certificates", name, always, l.made)
			}
		}
	}
}

// TestPinnedAlways: an old identity that is pinned does not order a certificate in each round.
func TestPinnedAlways(t *testing.T) {
	w := newWorld(t)
	alice := addr("alice@example.com")
	e := w.enroller(w.builtin(), func(en *enrol.Enrolment) { en.Always = []address.Address{alice} })
	w.must(e.Work(t.Context(), "test"))
	old := testpki.Must(w.store.Keys().Signing(t.Context(), alice))
	w.must(w.store.Pin(t.Context(), fingerprintOf(old.Certificate), true))
	w.advance(350 * day)
	for range 5 {
		w.must(e.Work(t.Context(), "test"))
		w.advance(2 * time.Hour)
	}
	if n := w.issued("alice@example.com"); n != 2 {
		t.Errorf("%d certificates", n)
	}
}

// TestWantedAgain: what an administrator revoked, or an authority that was revoked issued, is
// replaced at once.
func TestWantedAgain(t *testing.T) {
	w := newWorld(t)
	alice := addr("alice@example.com")
	p := w.builtin()
	e := w.enroller(p, nil)
	first := testpki.Must(e.Issue(t.Context(), alice))
	_ = testpki.Must(p.Authority.Revoke(t.Context(), first.Certificate, ca.Superseded))
	second := testpki.Must(e.Issue(t.Context(), alice))
	if second.Certificate.Equal(first.Certificate) {
		t.Error("the revoked one signs on")
	}
	w.advance(time.Minute)
	pair := testpki.Must(ca.Create(ca.Plan{Organization: "Y", Country: "DE", URL: "http://pki.example.com/", Key: "p256", Clock: w.clock}))
	p.Former = []builtin.Former{{Certificate: w.pair.Issuing.Certificate, Revoked: true}}
	p.Authority = authorityOf(t, w.store, pair.Issuing, w.clock)
	third := testpki.Must(e.Issue(t.Context(), alice))
	if third.Certificate.Equal(second.Certificate) {
		t.Error("what a revoked authority issued signs on")
	}
}

// TestExactMailbox: where local parts are compared exactly, a certificate for another spelling
// is refused once, and does not come again with every message.
func TestExactMailbox(t *testing.T) {
	w := newWorld(t)
	s := testpki.Must(store.Open(t.Context(), store.Config{Key: sealing, Clock: w.clock, Log: discard, LocalPart: address.ExactCase}))
	defer s.Close()
	w.store = s
	l := &lasting{t: t, root: testpki.Must(testpki.NewCA(testpki.Options{})), name: "alice@example.com",
		from: w.clock, until: func() time.Time { return w.clock().Add(100 * day) }}
	e := w.enroller(l, nil)
	for range 3 {
		if id, err := e.Issue(t.Context(), addr("Alice@example.com")); id != nil || err == nil || !strings.Contains(err.Error(), "not Alice@example.com alone") {
			t.Errorf("%v, %v", id, err)
		}
	}
	if l.made != 1 {
		t.Errorf("%d certificates", l.made)
	}
	// The other mailbox has an order of its own.
	if id, err := e.Issue(t.Context(), addr("alice@example.com")); err != nil || id == nil || l.made != 2 {
		t.Errorf("%v, %v", id, err)
	}
}

// TestClaimLasts: an attempt is no other process's as long as the provider may take, also
// where an administrator has it tried again meanwhile.
func TestClaimLasts(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	var e *enrol.Enroller
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) {
		if o.Attempts == 1 {
			w.advance(4 * time.Minute)
			w.must(w.store.RetryOrders(t.Context(), o.Bundle))
			other := w.enroller(&scripted{answer: func(*enrol.Order) (enrol.Answer, error) {
				t.Error("two attempts at the same time")
				return enrol.Answer{}, errDown
			}}, nil)
			w.must(other.Work(t.Context(), "test"))
		}
		return enrol.Answer{Certificates: certify(o, alice)}, nil
	}}
	e = w.enroller(p, func(en *enrol.Enrolment) { en.Timeout = 5 * time.Minute })
	// A message does not wait for a provider that may take so long.
	if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, certs.ErrOrdered) || p.begun != 0 {
		t.Fatalf("%v after %d calls", err, p.begun)
	}
	w.must(e.Work(t.Context(), "test"))
	if id := testpki.Must(w.store.Keys().Signing(t.Context(), addr(alice))); id == nil || p.begun != 1 {
		t.Errorf("begun %d times", p.begun)
	}
}

// TestAttemptOutlivesItsCaller: a message that joined an order does not shorten the attempt
// to the time for which it would have waited for others, and what comes after its caller has
// gone is kept.
func TestAttemptOutlivesItsCaller(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	hangUp := func() {}
	p := &scripted{}
	e := enrol.New(w.enroller(deadlines{t, p, 40 * time.Second}, func(en *enrol.Enrolment) { en.Timeout = 50 * time.Second }).Config)
	p.answer = func(o *enrol.Order) (enrol.Answer, error) {
		hangUp()
		return enrol.Answer{Certificates: certify(o, o.Address.String())}, nil
	}
	_ = testpki.Must(e.Place(t.Context(), addr(alice)))
	if id, err := e.Issue(t.Context(), addr(alice)); err != nil || id == nil || p.begun != 1 {
		t.Errorf("%v, %v", id, err)
	}
	_ = testpki.Must(e.Place(t.Context(), addr("bob@example.com")))
	var ctx context.Context
	ctx, hangUp = context.WithCancel(t.Context())
	defer hangUp()
	_ = e.Work(ctx, "test")
	if o := w.orders("bob@example.com")[0]; len(o.Certificates) == 0 {
		t.Errorf("the certificate is lost: %s, %q", o.State, o.Problem)
	}
}

// TestBrokenOff: an attempt that ends with its process, or with the message that asked, has not
// failed, and the next need not wait; what the provider refuses it refuses all the same.
func TestBrokenOff(t *testing.T) {
	w := newWorld(t)
	hangUp := func() {}
	p := &scripted{}
	e := w.enroller(p, nil)
	p.answer = func(o *enrol.Order) (enrol.Answer, error) {
		hangUp()
		if o.Address.Local() == "carol" {
			return enrol.Answer{}, &enrol.Refusal{Cause: errDown}
		}
		return enrol.Answer{Reference: []byte("at the CA")}, context.Canceled
	}
	var ctx context.Context
	for _, who := range []string{"carol@example.com", "bob@example.com"} {
		_ = testpki.Must(e.Place(t.Context(), addr(who)))
		ctx, hangUp = context.WithCancel(t.Context())
		_ = e.Work(ctx, "test")
		hangUp()
	}
	if o := w.orders("bob@example.com")[0]; o.Attempts != 0 || o.NextAt.After(w.clock()) || o.Problem != "" || string(o.Reference) != "at the CA" {
		t.Errorf("%d attempts, next at %s, %q", o.Attempts, o.NextAt, o.Problem)
	}
	if o := w.orders("carol@example.com")[0]; o.State != store.OrderFailed {
		t.Errorf("refused, and %s", o.State)
	}
}

// deadlines is a provider that looks at how long it has.
type deadlines struct {
	t *testing.T
	enrol.Provider
	least time.Duration
}

func (d deadlines) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) < d.least {
		d.t.Errorf("the attempt ends at %s", end)
	}
	return d.Provider.Begin(ctx, o)
}

// TestOneDoesNotStopOthers: an address that fails, and the orders of a table that is gone.
func TestOneDoesNotStopOthers(t *testing.T) {
	w := newWorld(t)
	gone := w.enroller(&scripted{}, func(en *enrol.Enrolment) { en.Name, en.PerHour = "gone", 0 })
	for i := range 205 {
		_ = testpki.Must(gone.Place(t.Context(), addr(fmt.Sprintf("user%d@example.com", i))))
	}
	w.advance(time.Minute)
	p := &withheld{Provider: w.builtin(), from: addr("alice@example.com")}
	e := w.enroller(p, func(en *enrol.Enrolment) {
		en.Always = []address.Address{addr("alice@example.com"), addr("bob@example.com")}
	})
	_ = testpki.Must(e.Place(t.Context(), addr("carol@example.com")))
	if err := e.Work(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "alice@example.com: down") {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"bob@example.com", "carol@example.com"} {
		if w.issued(text) != 1 {
			t.Errorf("%s has no certificate", text)
		}
	}
}

// withheld is a provider that is not ready for one address.
type withheld struct {
	enrol.Provider
	from address.Address
}

func (p *withheld) Ready(_ context.Context, a address.Address, _ int) error {
	if a == p.from {
		return errDown
	}
	return nil
}
