package ca_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/smime/address"
)

// cabinet keeps identities, as the store does. They are only asked who signs.
type cabinet struct {
	certs.Keys
	w    *world
	mu   sync.Mutex
	ids  []*certs.Identity
	fail error
}

func (c *cabinet) keep(_ context.Context, ids ...*certs.Identity) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail == nil {
		c.ids = append(c.ids, ids...)
	}
	return c.fail
}

func (c *cabinet) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return certs.NewKeys(func() time.Time { return c.w.now }, c.ids...).Signing(ctx, a)
}

func onDemand(t *testing.T, change func(*ca.OnDemandConfig)) (*world, *cabinet, *ca.OnDemand) {
	t.Helper()
	w := newWorld(t, "p256", ca.Multipurpose)
	kept := &cabinet{w: w}
	c := ca.OnDemandConfig{
		Authority: w.issuing, RenewBefore: 30 * 24 * time.Hour, PerHour: 10, Keys: kept, Keep: kept.keep,
	}
	if change != nil {
		change(&c)
	}
	return w, kept, ca.NewOnDemand(c)
}

func TestOnDemandIssuesOnce(t *testing.T) {
	w, kept, o := onDemand(t, nil)
	alice := parse(t, "alice@example.com")
	if err := o.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp() // the first to ask is gone already
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			id, err := o.Issue(ctx, alice)
			if err != nil || id == nil || o.Due(id) {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	group.Wait()
	if len(kept.ids) != 1 {
		t.Fatalf("%d identities", len(kept.ids))
	}
	// What is near its end is followed by another, and stays.
	w.now = kept.ids[0].Certificate.NotAfter.Add(-29 * 24 * time.Hour)
	if !o.Due(kept.ids[0]) {
		t.Fatal("not due")
	}
	id, err := o.Issue(t.Context(), alice)
	if err != nil || len(kept.ids) != 2 || id.Certificate.Equal(kept.ids[0].Certificate) || o.Due(id) {
		t.Errorf("%d identities, %v", len(kept.ids), err)
	}
	if got, err := kept.Signing(t.Context(), alice); err != nil || got != id {
		t.Errorf("the old one signs on: %v", err)
	}
}

// TestOnDemandIsOneFlight: who asks while one is being made waits for that one.
func TestOnDemandIsOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		_, kept, o := onDemand(t, func(c *ca.OnDemandConfig) {
			keep := c.Keep
			c.Keep = func(ctx context.Context, ids ...*certs.Identity) error {
				<-gate
				return keep(ctx, ids...)
			}
		})
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if _, err := o.Issue(t.Context(), parse(t, "alice@example.com")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all of them wait
		close(gate)
		group.Wait()
		if len(kept.ids) != 1 {
			t.Errorf("%d identities", len(kept.ids))
		}
	})
}

// TestOnDemandIsBounded: by one burst, and again an hour later.
func TestOnDemandIsBounded(t *testing.T) {
	w, kept, o := onDemand(t, nil)
	var group sync.WaitGroup
	for i := range 50 {
		a := parse(t, fmt.Sprintf("user%d@example.com", i))
		group.Go(func() {
			if _, err := o.Issue(t.Context(), a); err != nil && !errors.Is(err, ca.ErrTooMany) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	// The issuing authority's own certificate is the root's, and does not count.
	if n := len(kept.ids); n < 5 || n > 10 {
		t.Errorf("%d identities were issued in a burst", n)
	}
	for i := range 10 {
		_, _ = o.Issue(t.Context(), parse(t, fmt.Sprintf("more%d@example.com", i)))
	}
	if len(kept.ids) != 10 || !errors.Is(o.Ready(t.Context()), ca.ErrTooMany) {
		t.Errorf("%d identities, ready: %v", len(kept.ids), o.Ready(t.Context()))
	}
	// Those who have one are not concerned.
	if id, err := o.Issue(t.Context(), certs.Addresses(kept.ids[0].Certificate)[0]); err != nil || id == nil {
		t.Errorf("with an identity: %v", err)
	}
	w.now = w.now.Add(time.Hour + time.Minute)
	if _, err := o.Issue(t.Context(), parse(t, "later@example.com")); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestOnDemandSeparate(t *testing.T) {
	_, kept, o := onDemand(t, func(c *ca.OnDemandConfig) { c.Separate, c.PerHour = true, 3 })
	id, err := o.Issue(t.Context(), parse(t, "alice@example.com"))
	if err != nil || len(kept.ids) != 2 || id != kept.ids[0] {
		t.Fatalf("%d identities, %v", len(kept.ids), err)
	}
	if _, err := o.Issue(t.Context(), parse(t, "bob@example.com")); !errors.Is(err, ca.ErrTooMany) {
		t.Errorf("half a pair is beyond the bound: %v", err)
	}
}

func TestOnDemandFails(t *testing.T) {
	down, withheld := errors.New("down"), errors.New("withheld")
	var refuse error
	w, kept, o := onDemand(t, func(c *ca.OnDemandConfig) {
		c.Withheld = func(context.Context, address.Address) error { return refuse }
	})
	alice := parse(t, "alice@example.com")
	refuse = withheld
	if id, err := o.Issue(t.Context(), alice); !errors.Is(err, withheld) || id != nil {
		t.Errorf("withheld: %v", err)
	}
	refuse, kept.fail = nil, down
	if id, err := o.Issue(t.Context(), alice); !errors.Is(err, down) || id != nil {
		t.Errorf("not kept, and handed out: %v", err)
	}
	kept.fail, w.ledger.fail = nil, down
	if id, err := o.Issue(t.Context(), alice); !errors.Is(err, down) || id != nil {
		t.Errorf("not noted, and handed out: %v", err)
	}
	if err := o.Ready(t.Context()); !errors.Is(err, down) {
		t.Errorf("ready: %v", err)
	}
	w.ledger.fail = nil
	w.now = w.pair.Issuing.Certificate.NotAfter
	if err := o.Ready(t.Context()); err == nil {
		t.Error("ready after the end of the authority")
	}
}

// TestDue: not what another authority issued, nor what ends with the authority.
func TestDue(t *testing.T) {
	w, kept, o := onDemand(t, func(c *ca.OnDemandConfig) { c.Validity, c.RenewBefore = 10*24*time.Hour, 300*24*time.Hour })
	id, err := o.Issue(t.Context(), parse(t, "alice@example.com"))
	if err != nil || o.Due(id) {
		t.Fatalf("due at once: %v", err)
	}
	other := newWorld(t, "p384", ca.Multipurpose)
	foreign := other.pair.Root // another issuer, and long past
	w.now = w.now.Add(25 * 365 * 24 * time.Hour)
	if o.Due(foreign) {
		t.Error("another authority's is due")
	}
	w.now = w.pair.Issuing.Certificate.NotAfter.Add(-2 * 24 * time.Hour)
	last, err := o.Issue(t.Context(), parse(t, "bob@example.com"))
	if err != nil || o.Due(last) || len(kept.ids) != 2 {
		t.Errorf("what ends with the authority is due: %v", err)
	}
}
