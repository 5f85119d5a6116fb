package enrol_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// TestIssuedOnce: all who ask at the same time get the same identity, also when the first
// of them is gone; and what is near its end is followed by another, and stays.
func TestIssuedOnce(t *testing.T) {
	w := newWorld(t)
	e := w.enroller(w.builtin(), nil)
	alice := addr("alice@example.com")
	w.must(e.Ready(t.Context(), alice))
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if id, err := e.Issue(ctx, alice); err != nil || id == nil || e.Due(t.Context(), id) {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	group.Wait()
	if n := w.issued("alice@example.com"); n != 1 {
		t.Fatalf("%d certificates", n)
	}
	first := testpki.Must(w.store.Keys().Signing(t.Context(), alice))
	w.advance(first.Certificate.NotAfter.Sub(w.clock()) - 29*day)
	if !e.Due(t.Context(), first) {
		t.Fatal("not due")
	}
	second := testpki.Must(e.Issue(t.Context(), alice))
	if second.Certificate.Equal(first.Certificate) || e.Due(t.Context(), second) || w.issued("alice@example.com") != 2 {
		t.Error("not renewed")
	}
	if got := testpki.Must(w.store.Keys().Signing(t.Context(), alice)); !got.Certificate.Equal(second.Certificate) {
		t.Error("the old one signs on")
	}
	if _, err := w.store.Identity(t.Context(), fingerprintOf(first.Certificate)); err != nil {
		t.Errorf("the old key is gone: %v", err)
	}
}

// TestOneOrderOfTwoNodes: two that share a store order one certificate.
func TestOneOrderOfTwoNodes(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for range 4 {
		e := w.enroller(w.builtin(), nil)
		group.Go(func() {
			if id, err := e.Issue(t.Context(), addr("alice@example.com")); err != nil || id == nil {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	group.Wait()
	if n := w.issued("alice@example.com"); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

// TestBoundPerHour: of the enrolment, and of the authority for all that has it issue.
func TestBoundPerHour(t *testing.T) {
	for _, bound := range []string{"enrolment", "authority"} {
		w := newWorld(t)
		p := w.builtin()
		e := w.enroller(p, func(en *enrol.Enrolment) {
			if bound == "enrolment" {
				en.PerHour = 3
			}
		})
		if bound == "authority" {
			p.PerHour = 3
		}
		var group sync.WaitGroup
		for i := range 12 {
			group.Go(func() {
				_, err := e.Issue(t.Context(), addr(fmt.Sprintf("user%d@example.com", i)))
				if err != nil && !strings.Contains(err.Error(), "too many certificates") {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for i := range 3 {
			_, _ = e.Issue(t.Context(), addr(fmt.Sprintf("more%d@example.com", i)))
		}
		n := testpki.Must(w.store.Count(t.Context(), store.Query{Origins: []store.Origin{store.Issued}}))
		if n < 3 || n > 10 || bound == "enrolment" && n != 3 {
			t.Errorf("%s: %d certificates", bound, n)
		}
		w.advance(time.Hour + time.Minute)
		if _, err := e.Issue(t.Context(), addr("later@example.com")); err != nil {
			t.Errorf("%s: an hour later: %v", bound, err)
		}
	}
}

// TestTwoCertificates: the one that signs has the other with it, and they are there
// together or not at all.
func TestTwoCertificates(t *testing.T) {
	w := newWorld(t)
	e := w.enroller(w.builtin(), func(en *enrol.Enrolment) { en.Separate = true })
	id := testpki.Must(e.Issue(t.Context(), addr("alice@example.com")))
	if w.issued("alice@example.com") != 2 || !certs.Signs(id.Certificate) || certs.Decrypts(id.Certificate) {
		t.Fatalf("%d certificates", w.issued("alice@example.com"))
	}
	if !slices.ContainsFunc(id.Chain, certs.Decrypts) {
		t.Error("the certificate for encryption does not go with it")
	}
	calls := 0
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) {
		if calls++; o.Purpose == store.ForSigning {
			return enrol.Answer{}, errDown
		}
		return w.builtin().Begin(t.Context(), o)
	}}
	e = w.enroller(p, func(en *enrol.Enrolment) { en.Separate = true })
	if _, err := e.Issue(t.Context(), addr("bob@example.com")); !errors.Is(err, errDown) || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if has := testpki.Must(w.store.Count(t.Context(), store.Query{Address: new(addr("bob@example.com")), HasKey: new(true)})); has != 0 {
		t.Error("half a pair is in the store")
	}
}

// TestNotYet: a CA that takes its time is asked again when it said, with the same key, and
// an error meanwhile is asked again with growing delays.
func TestNotYet(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	say := func(o *enrol.Order) (enrol.Answer, error) {
		return enrol.Answer{After: time.Hour, Reference: []byte("r1")}, nil
	}
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) { return say(o) }}
	e := w.enroller(p, nil)
	if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, certs.ErrOrdered) {
		t.Fatalf("%v", err)
	}
	w.advance(59 * time.Minute)
	w.must(e.Work(t.Context(), "test"))
	if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, certs.ErrOrdered) || p.begun != 1 || p.asked != 0 {
		t.Fatalf("asked too early: begun %d, asked %d, %v", p.begun, p.asked, err)
	}
	say = func(o *enrol.Order) (enrol.Answer, error) {
		if string(o.Reference) != "r1" {
			t.Errorf("reference %q", o.Reference)
		}
		return enrol.Answer{}, errDown
	}
	for i, wait := range []time.Duration{2 * time.Minute, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		w.advance(wait)
		w.must(e.Work(t.Context(), "test"))
		if p.asked != i+1 {
			t.Fatalf("asked %d times after %d waits", p.asked, i+1)
		}
	}
	o := w.orders(alice)[0]
	if o.Problem != "down" || !enrol.Troubled(&o) || o.State != store.OrderSent {
		t.Errorf("%+v", o)
	}
	if err := e.Ready(t.Context(), addr(alice)); err == nil || !strings.Contains(err.Error(), "down") {
		t.Errorf("ready: %v", err)
	}
	say = func(o *enrol.Order) (enrol.Answer, error) {
		return enrol.Answer{Certificates: certify(o, alice)}, nil
	}
	w.must(w.store.RetryOrders(t.Context(), o.Bundle))
	w.must(e.Work(t.Context(), "test"))
	id := testpki.Must(w.store.Keys().Signing(t.Context(), addr(alice)))
	if id == nil || p.begun != 1 {
		t.Fatalf("begun %d times", p.begun)
	}
	if o := w.orders(alice)[0]; o.State != store.OrderDone || o.Key != nil || !o.Certificates[0].Equal(id.Certificate) {
		t.Errorf("%+v", o)
	}
}

// TestKeyOfTheProvider: a key that comes with the certificate takes the place of that of the order,
// also where another process puts it into the store.
func TestKeyOfTheProvider(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	key := testpki.Must(ca.GenerateKey("p256"))
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) {
		own := *o
		own.Key = key
		return enrol.Answer{Certificates: certify(&own, alice), Key: key}, nil
	}}
	placed := testpki.Must(w.enroller(p, nil).Place(t.Context(), addr(alice)))
	w.must(w.enroller(p, nil).Work(t.Context(), "test"))
	id := testpki.Must(w.store.Keys().Signing(t.Context(), addr(alice)))
	if id == nil {
		t.Fatal("no identity")
	}
	if err := (&certs.Identity{Certificate: id.Certificate, Key: key}).Check(); err != nil {
		t.Error(err)
	}
	if err := (&certs.Identity{Certificate: id.Certificate, Key: placed[0].Key}).Check(); err == nil {
		t.Error("the key of the order was certified")
	}
}

// TestRefused: what is refused is not asked again until an administrator says so, and no
// other order takes its place.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	say := func(*enrol.Order) (enrol.Answer, error) {
		return enrol.Answer{}, &enrol.Refusal{Cause: errors.New("no such employee")}
	}
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) { return say(o) }}
	e := w.enroller(p, nil)
	for range 3 {
		if _, err := e.Issue(t.Context(), addr(alice)); err == nil || !strings.Contains(err.Error(), "no such employee") {
			t.Fatal(err)
		}
		w.advance(100 * day)
		w.must(e.Work(t.Context(), "test"))
	}
	if o := w.orders(alice); len(o) != 1 || o[0].State != store.OrderFailed || p.begun+p.asked != 1 {
		t.Fatalf("%d orders, %d calls", len(o), p.begun+p.asked)
	}
	// What an order is answered with must be its own.
	bob := addr("bob@example.com")
	for name, wrong := range map[string]func(o *enrol.Order) enrol.Answer{
		"another address": func(o *enrol.Order) enrol.Answer {
			return enrol.Answer{Certificates: certify(o, bob.String())}
		},
		"another address beside its own": func(o *enrol.Order) enrol.Answer {
			return enrol.Answer{Certificates: certify(o, alice, bob.String())}
		},
		"no address": func(o *enrol.Order) enrol.Answer {
			return enrol.Answer{Certificates: certify(o)}
		},
		"another key": func(o *enrol.Order) enrol.Answer {
			other := *o
			other.Key = testpki.Must(ca.GenerateKey("p256"))
			return enrol.Answer{Certificates: certify(&other, alice)}
		},
	} {
		say = func(o *enrol.Order) (enrol.Answer, error) { return wrong(o), nil }
		w.must(w.store.RetryOrders(t.Context(), w.orders(alice)[0].Bundle))
		w.must(e.Work(t.Context(), "test"))
		if o := w.orders(alice)[0]; o.State != store.OrderFailed || o.Key == nil {
			t.Errorf("%s: %s", name, o.State)
		}
		for _, a := range []address.Address{addr(alice), bob} {
			if id := testpki.Must(w.store.Keys().Signing(t.Context(), a)); id != nil {
				t.Errorf("%s: %s signs with it", name, a)
			}
		}
	}
	w.must(w.store.CancelOrders(t.Context(), w.orders(alice)[0].Bundle))
	say = func(o *enrol.Order) (enrol.Answer, error) {
		return enrol.Answer{Certificates: certify(o, alice)}, nil
	}
	if id, err := e.Issue(t.Context(), addr(alice)); err != nil || id == nil {
		t.Errorf("after the cancellation: %v", err)
	}
}

// TestCancelledIsRevoked: what the built-in CA issued for an order that is cancelled, before
// or after that, is not left for others to encrypt to: its key is gone.
func TestCancelledIsRevoked(t *testing.T) {
	w := newWorld(t)
	alice := addr("alice@example.com")
	b := w.builtin()
	// The process dies with the certificate in the ledger, and the order is cancelled.
	p := &dies{Provider: b}
	if _, err := w.enroller(p, nil).Issue(t.Context(), alice); err == nil || w.issued("alice@example.com") != 1 {
		t.Fatal(err)
	}
	e := w.enroller(b, nil)
	w.must(e.Cancel(t.Context(), w.orders("alice@example.com")[0].Bundle))
	// Cancelled while the CA works on it.
	bob := addr("bob@example.com")
	p.during = func(o *enrol.Order) { w.must(e.Cancel(t.Context(), o.Bundle)) }
	if id, err := w.enroller(p, nil).Issue(t.Context(), bob); err == nil || id != nil {
		t.Fatalf("%v, %v", id, err)
	}
	for _, a := range []address.Address{alice, bob} {
		found := testpki.Must(w.store.Find(t.Context(), store.Query{Address: &a}))
		if len(found) != 1 || found[0].RevokedAt.IsZero() || found[0].Mark != store.Blocked {
			t.Errorf("%s: %d certificates, %+v", a, len(found), found)
		}
	}
	if err := e.Cancel(t.Context(), w.orders("alice@example.com")[0].Bundle); !errors.Is(err, store.ErrNoOrder) {
		t.Errorf("cancelled twice: %v", err)
	}
}

// dies is the built-in CA whose answer does not come back, or while something is done.
type dies struct {
	*builtin.Provider
	during func(o *enrol.Order)
}

func (d *dies) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	if d.during != nil {
		d.during(o)
		return d.Provider.Begin(ctx, o)
	}
	_, err := d.Provider.Begin(ctx, o)
	return enrol.Answer{}, errors.Join(err, errDown)
}

// TestCancelledMeanwhile: what comes for an order that was cancelled is not used.
func TestCancelledMeanwhile(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	p := &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) {
		return enrol.Answer{Certificates: certify(o, alice)}, w.store.CancelOrders(t.Context(), o.Bundle)
	}}
	if id, err := w.enroller(p, nil).Issue(t.Context(), addr(alice)); err == nil || id != nil {
		t.Errorf("%v, %v", id, err)
	}
	if o := w.orders(alice)[0]; o.State != store.OrderCancelled || o.Key != nil {
		t.Errorf("%s", o.State)
	}
}

// TestCancelledAndKilled: an order is cancelled during an attempt whose process is then killed.
// What was issued is revoked when the time of the attempt is over, and only then is the key deleted;
// a provider that is unavailable, or has not decided, is asked again.
func TestCancelledAndKilled(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := "alice@example.com"
	var revoked []*x509.Certificate
	p := &revoking{revoke: func(_ context.Context, c *x509.Certificate) error { revoked = append(revoked, c); return nil }}
	down, undecided := true, true
	p.answer = func(o *enrol.Order) (enrol.Answer, error) {
		switch {
		case down:
			return enrol.Answer{}, errDown
		case undecided:
			return enrol.Answer{After: time.Minute}, nil
		}
		return enrol.Answer{Certificates: certify(o, alice)}, nil
	}
	e := w.enroller(p, func(en *enrol.Enrolment) { en.Origin = store.Imported })
	placed := testpki.Must(e.Place(t.Context(), addr(alice)))
	// A process that is killed takes the order, and says nothing more of it.
	if claimed, err := w.store.ClaimOrder(t.Context(), &placed[0], w.clock().Add(time.Minute)); !claimed || err != nil {
		t.Fatal(err)
	}
	w.must(e.Cancel(t.Context(), placed[0].Bundle))
	w.must(e.Work(t.Context(), "test"))
	if o := w.orders(alice)[0]; o.State != store.OrderCancelled || o.Key == nil || p.asked > 0 {
		t.Fatalf("during the attempt: %s, asked %d times", o.State, p.asked)
	}
	w.advance(time.Minute)
	if err := e.Work(t.Context(), "test"); !errors.Is(err, errDown) || w.orders(alice)[0].Key == nil {
		t.Errorf("while the provider is down: %v", err)
	}
	w.must(e.Work(t.Context(), "test"))
	down = false
	w.advance(time.Hour)
	if err := e.Work(t.Context(), "test"); err == nil || w.orders(alice)[0].Key == nil {
		t.Errorf("while the provider has not decided: %v", err)
	}
	undecided = false
	w.advance(time.Hour)
	w.must(e.Work(t.Context(), "test"))
	if len(revoked) != 1 || p.asked != 3 || p.begun != 0 {
		t.Fatalf("%d revoked, asked %d times", len(revoked), p.asked)
	}
	if err := (&certs.Identity{Certificate: revoked[0], Key: placed[0].Key}).Check(); err != nil {
		t.Errorf("another certificate was revoked: %v", err)
	}
	w.advance(100 * day)
	w.must(e.Work(t.Context(), "test"))
	if o := w.orders(alice)[0]; o.State != store.OrderCancelled || o.Key != nil || p.asked != 3 {
		t.Errorf("afterwards: %s, asked %d times", o.State, p.asked)
	}
	if id := testpki.Must(w.store.Keys().Signing(t.Context(), addr(alice))); id != nil {
		t.Error("it signs")
	}
}

// TestAlways: addresses that are listed get certificates without mail, and are renewed.
func TestAlways(t *testing.T) {
	w := newWorld(t)
	e := w.enroller(w.builtin(), func(en *enrol.Enrolment) {
		en.Match, en.Always = nil, []address.Address{addr("alice@example.com"), addr("bob@example.com")}
	})
	for range 2 {
		w.must(e.Work(t.Context(), "test"))
	}
	if w.issued("alice@example.com") != 1 || w.issued("bob@example.com") != 1 {
		t.Error("not issued, or more than once")
	}
	w.advance(340 * day)
	for range 2 {
		w.must(e.Work(t.Context(), "test"))
	}
	if w.issued("alice@example.com") != 2 || w.issued("bob@example.com") != 2 {
		t.Error("not renewed, or more than once")
	}
	if _, err := e.Issue(t.Context(), addr("carol@example.com")); err == nil {
		t.Error("an address that no table is for")
	}
}

// TestGroups: a group that is unknown is not passed over for the next table.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	first := enrol.Enrolment{Name: "first", Groups: []string{"staff@example.com"}, Key: "p256", PerHour: 10, Provider: w.builtin(), Origin: store.Issued}
	second := first
	second.Name, second.Groups, second.Match = "second", nil, func(address.Address) bool { return true }
	var fail error
	e := enrol.New(enrol.Config{Enrolments: []enrol.Enrolment{first, second}, Store: w.store, Keys: w.store.Keys(), Clock: w.clock, Log: discard,
		InGroup: func(_ context.Context, a address.Address, _ string) (bool, error) { return a.Local() == "member", fail }})
	for name, want := range map[string]string{"member@example.com": "first", "other@example.com": "second"} {
		_ = testpki.Must(e.Issue(t.Context(), addr(name)))
		if got := w.orders(name)[0].Enrolment; got != want {
			t.Errorf("%s from %s", name, got)
		}
	}
	fail = errDown
	if _, err := e.Issue(t.Context(), addr("third@example.com")); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

// TestPinned: an old identity that an administrator pinned does not order one certificate
// with every message.
func TestPinned(t *testing.T) {
	w := newWorld(t)
	e := w.enroller(w.builtin(), nil)
	alice := addr("alice@example.com")
	old := testpki.Must(e.Issue(t.Context(), alice))
	w.must(w.store.Pin(t.Context(), fingerprintOf(old.Certificate), true))
	w.advance(350 * day)
	for range 3 {
		if id, err := e.Issue(t.Context(), alice); err != nil || id == nil {
			t.Fatal(err)
		}
	}
	if n := w.issued("alice@example.com"); n != 2 {
		t.Errorf("%d certificates", n)
	}
}

// TestBlockedIsReplaced: in place of an identity that is blocked another is ordered, also on the last day
// of the block.
func TestBlockedIsReplaced(t *testing.T) {
	w := newWorld(t)
	e := w.enroller(w.builtin(), nil)
	first := testpki.Must(e.Issue(t.Context(), addr("alice@example.com")))
	w.advance(time.Second)
	w.must(w.store.SetMark(t.Context(), fingerprintOf(first.Certificate), store.Blocked, "", w.clock().Truncate(day)))
	second, err := e.Issue(t.Context(), addr("alice@example.com"))
	if err != nil || second.Certificate.Equal(first.Certificate) {
		t.Errorf("%v", err)
	}
}

// TestRevoke: by the provider, or here alone where it cannot; the key decrypts on.
func TestRevoke(t *testing.T) {
	w := newWorld(t)
	certify := foreign(t)
	alice := addr("alice@example.com")
	for name, p := range map[string]enrol.Provider{
		"builtin": w.builtin(),
		"scripted": &scripted{answer: func(o *enrol.Order) (enrol.Answer, error) {
			return enrol.Answer{Certificates: certify(o, o.Address.String())}, nil
		}},
	} {
		e := w.enroller(p, func(en *enrol.Enrolment) {
			if name == "scripted" {
				en.Origin = store.Imported
			}
		})
		id := testpki.Must(e.Issue(t.Context(), alice))
		orders := w.orders("alice@example.com")
		byProvider, err := e.Revoke(t.Context(), &orders[len(orders)-1])
		if err != nil || byProvider != (name == "builtin") {
			t.Errorf("%s: %t, %v", name, byProvider, err)
		}
		if signing := testpki.Must(w.store.Keys().Signing(t.Context(), alice)); signing != nil {
			t.Errorf("%s: it signs on", name)
		}
		if _, err := w.store.Identity(t.Context(), fingerprintOf(id.Certificate)); err != nil {
			t.Errorf("%s: the key is gone: %v", name, err)
		}
		w.advance(time.Second) // so that the orders have an order
	}
}

// revoking is a provider whose revocations a test scripts.
type revoking struct {
	scripted
	revoke func(ctx context.Context, c *x509.Certificate) error
}

func (r *revoking) Revoke(ctx context.Context, c *x509.Certificate) error { return r.revoke(ctx, c) }

// TestRevokedWithoutProvider: a provider that is away, hangs, or whose table is gone keeps
// no certificate from being blocked.
func TestRevokedWithoutProvider(t *testing.T) {
	for name, revoke := range map[string]func(context.Context, *x509.Certificate) error{
		"away":  func(context.Context, *x509.Certificate) error { return errDown },
		"hangs": func(ctx context.Context, _ *x509.Certificate) error { <-ctx.Done(); return ctx.Err() },
		"gone":  nil,
	} {
		w := newWorld(t)
		certify := foreign(t)
		alice := addr("alice@example.com")
		p := &revoking{revoke: revoke}
		p.answer = func(o *enrol.Order) (enrol.Answer, error) {
			return enrol.Answer{Certificates: certify(o, o.Address.String())}, nil
		}
		e := w.enroller(p, func(en *enrol.Enrolment) { en.Origin, en.Timeout = store.Imported, 10*time.Millisecond })
		_ = testpki.Must(e.Issue(t.Context(), alice))
		if revoke == nil {
			e.Enrolments = nil
		}
		byProvider, err := e.Revoke(t.Context(), &w.orders("alice@example.com")[0])
		if blocked := new(enrol.NotByProvider); byProvider || !errors.As(err, &blocked) {
			t.Errorf("%s: %t, %v", name, byProvider, err)
		}
		if id := testpki.Must(w.store.Keys().Signing(t.Context(), alice)); id != nil {
			t.Errorf("%s: it signs on", name)
		}
	}
}

// TestDue: what the authority before issued is due at once where that was revoked; what
// another issued, or what ends with the authority itself, is not.
func TestDue(t *testing.T) {
	w := newWorld(t)
	p := w.builtin()
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := (*certs.Identity)(testpki.Must(other.Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}})))
	e := w.enroller(p, nil)
	w.advance(id.Certificate.NotAfter.Sub(w.clock()) - day)
	if e.Due(t.Context(), id) {
		t.Error("another authority's is due")
	}
	for revoked, want := range map[bool]bool{false: true, true: true} {
		p.Former = []builtin.Former{{Certificate: other.Certificate, Revoked: revoked}}
		if e.Due(t.Context(), id) != want {
			t.Errorf("revoked %t: due %t", revoked, !want)
		}
	}
	w.advance(w.pair.Issuing.Certificate.NotAfter.Sub(w.clock()) - 2*day)
	last, err := e.Issue(t.Context(), addr("bob@example.com"))
	if err != nil || e.Due(t.Context(), last) {
		t.Errorf("what ends with the authority is due: %v", err)
	}
	// Of a provider elsewhere, all that its addresses have is due, and not at once.
	e = w.enroller(&scripted{}, nil)
	if !e.Due(t.Context(), id) {
		t.Error("not due at its provider elsewhere")
	}
}
