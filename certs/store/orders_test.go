package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// newOrder is one for an identity that was issued.
func newOrder(id string, made *certs.Identity) Order {
	return Order{ID: id, Bundle: "b-" + id, Address: certs.Addresses(made.Certificate)[0], Enrolment: "e", Purpose: ForBoth, Key: made.Key, NextAt: now}
}

func TestOrders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a := w.identity(1, "Alice@example.com")
		first := newOrder("aa01", a)
		w.must(w.PutOrders(ctx, OrderLimits{PerHour: 2}, first))
		second := newOrder("aa02", w.identity(1, "alice@example.com"))
		if err := w.PutOrders(ctx, OrderLimits{PerHour: 9}, second); !errors.Is(err, ErrOrderOpen) {
			t.Errorf("two for one address: %v", err)
		}
		pair := []Order{newOrder("bb01", w.identity(1, "bob@example.com")), newOrder("bb02", w.identity(1, "bob@example.com"))}
		pair[1].Purpose = ForEncryption
		if err := w.PutOrders(ctx, OrderLimits{PerHour: 2}, pair...); !errors.Is(err, ErrTooManyOrders) {
			t.Errorf("too many: %v", err)
		}
		if all := got[[]Order](w)(w.Orders(ctx, OrderQuery{})); len(all) != 1 || all[0].Key != nil {
			t.Fatalf("%d orders: a call was cut in two", len(all))
		}
		o := got[[]Order](w)(w.Orders(ctx, OrderQuery{Prefix: "AA", Keys: true, Due: now}))[0]
		if key, ok := o.Key.(*ecdsa.PrivateKey); !ok || !key.Equal(a.Key) || o.Address.String() != "Alice@example.com" || o.State != OrderReady {
			t.Errorf("%+v", o)
		}
		other := o
		next := now.Add(time.Minute)
		if !got[bool](w)(w.ClaimOrder(ctx, &o, next)) || o.State != OrderSent || o.Attempts != 1 {
			t.Errorf("%+v", o)
		}
		if got[bool](w)(w.ClaimOrder(ctx, &other, next)) {
			t.Error("two claimed it")
		}
		w.must(w.RetryOrders(ctx, o.Bundle))
		if due := got[[]Order](w)(w.Orders(ctx, OrderQuery{Due: now})); len(due) != 0 {
			t.Error("due though it is claimed")
		}
		fresh := got[[]Order](w)(w.Orders(ctx, OrderQuery{Prefix: "aa"}))[0]
		if got[bool](w)(w.ClaimOrder(ctx, &fresh, next)) {
			t.Error("claimed although an attempt is under way")
		}
		if err := w.FinishOrders(ctx, o.Bundle, Imported, a); !errors.Is(err, ErrNoOrder) {
			t.Errorf("done before it was answered: %v", err)
		}
		// The claim ends, and another process takes the order: only an answer is still taken.
		w.at = next
		stale := o
		if !got[bool](w)(w.ClaimOrder(ctx, &fresh, next.Add(time.Minute))) {
			t.Error("not claimed though the claim is over")
		}
		stale.State, stale.Problem = OrderFailed, "late"
		if err := w.NoteOrder(ctx, &stale); !errors.Is(err, ErrNoOrder) {
			t.Errorf("an attempt that lost its claim was noted: %v", err)
		}
		o.State, o.Certificates, o.Reference, o.Problem = OrderAnswered, append([]*x509.Certificate{a.Certificate}, w.ca.Certificate), []byte("r"), "p"
		w.must(w.NoteOrder(ctx, &o))
		fresh.State = OrderSent
		if err := w.NoteOrder(ctx, &fresh); !errors.Is(err, ErrNoOrder) {
			t.Errorf("an answer was noted over: %v", err)
		}
		w.at = now
		o = got[[]Order](w)(w.Orders(ctx, OrderQuery{Bundle: o.Bundle, States: []OrderState{OrderAnswered}}))[0]
		if len(o.Certificates) != 2 || !o.Certificates[0].Equal(a.Certificate) || string(o.Reference) != "r" || o.Problem != "p" {
			t.Errorf("%+v", o)
		}
		w.must(w.FinishOrders(ctx, o.Bundle, Imported, a))
		if id := got[*certs.Identity](w)(w.Keys().Signing(ctx, o.Address)); id == nil || !id.Certificate.Equal(a.Certificate) {
			t.Error("the identity is not in the store")
		}
		for _, err := range []error{w.FinishOrders(ctx, o.Bundle, Imported, a), w.NoteOrder(ctx, &o), w.CancelOrders(ctx, o.Bundle), w.RetryOrders(ctx, o.Bundle)} {
			if !errors.Is(err, ErrNoOrder) {
				t.Errorf("what is done was changed: %v", err)
			}
		}
		// Another may follow, is cancelled, and its key is gone.
		w.must(w.PutOrders(ctx, OrderLimits{}, second))
		w.must(w.CancelOrders(ctx, second.Bundle))
		var sealed []byte
		w.must(w.read.QueryRowContext(ctx, `SELECT sealed FROM store_order WHERE id = 'aa02'`).Scan(&sealed))
		if sealed != nil {
			t.Error("the key of a cancelled order is still there")
		}
		w.must(w.PutOrders(ctx, OrderLimits{}, pair...))
		failed := got[[]Order](w)(w.Orders(ctx, OrderQuery{Prefix: "bb01"}))[0]
		failed.State, failed.Problem = OrderFailed, "no"
		w.must(w.NoteOrder(ctx, &failed))
		if due := got[[]Order](w)(w.Orders(ctx, OrderQuery{Due: now.Add(time.Hour), Enrolment: "e"})); len(due) != 1 || due[0].ID != "bb02" {
			t.Errorf("%d are due", len(due))
		}
		w.must(w.RetryOrders(ctx, failed.Bundle))
		if due := got[[]Order](w)(w.Orders(ctx, OrderQuery{Due: now})); len(due) != 2 {
			t.Errorf("%d are due after the retry", len(due))
		}
	})
}

// TestExactMailboxes: under the exact rule, two spellings are two mailboxes: neither stands in
// the way of the other, or uses its invitation.
func TestExactMailboxes(t *testing.T) {
	w := newWorld(t, "")
	w.Store.cfg.LocalPart = address.ExactCase
	ctx := context.Background()
	w.must(w.PutOrders(ctx, OrderLimits{}, newOrder("aa01", w.identity(1, "Alice@example.com"))))
	w.must(w.PutOrders(ctx, OrderLimits{}, newOrder("aa02", w.identity(1, "alice@example.com"))))
	list := got[[]Order](w)(w.Orders(ctx, OrderQuery{Address: new(addr("Alice@example.com"))}))
	if len(list) != 1 || list[0].ID != "aa01" {
		t.Errorf("%+v", list)
	}
	w.must(w.PutInvitation(ctx, "secret", addr("Alice@example.com"), now.Add(time.Hour)))
	for text, want := range map[string]bool{"alice@example.com": false, "Alice@example.com": true} {
		if ok := got[bool](w)(w.RedeemInvitation(ctx, "secret", addr(text), [32]byte{1})); ok != want {
			t.Errorf("%s: redeemed %t", text, ok)
		}
	}
}

// TestOrderKeysAreBound: the sealed key of an order opens in no other order.
func TestOrderKeysAreBound(t *testing.T) {
	w := newWorld(t, "")
	ctx := context.Background()
	w.must(w.PutOrders(ctx, OrderLimits{}, newOrder("aa01", w.identity(1, "a@example.com"))))
	w.must(w.PutOrders(ctx, OrderLimits{}, newOrder("bb01", w.identity(1, "b@example.com"))))
	_, err := w.write.ExecContext(ctx, `UPDATE store_order SET sealed = (SELECT sealed FROM store_order WHERE id = 'aa01') WHERE id = 'bb01'`)
	w.must(err)
	if _, err := w.Orders(ctx, OrderQuery{Prefix: "bb", Keys: true}); err == nil {
		t.Error("the key of another order opens")
	}
}

// TestIssuedIsKept: what the CA issued is in the store with the note, and gets its key later.
func TestIssuedIsKept(t *testing.T) {
	w := newWorld(t, "")
	ctx := context.Background()
	id := w.identity(1, "a@example.com")
	w.must(w.Issued(ctx, id.Certificate))
	e := got[[]Entry](w)(w.Find(ctx, Query{Address: new(addr("a@example.com"))}))
	if len(e) != 1 || e[0].Origin != Issued || e[0].HasKey {
		t.Fatalf("%+v", e)
	}
	id.Chain = append(id.Chain, testpki.Must(testpki.NewCA(testpki.Options{})).Certificate)
	got[Stored](w)(w.PutIdentity(ctx, Issued, id))
	if kept := got[*certs.Identity](w)(w.Identity(ctx, e[0].Fingerprint)); len(kept.Chain) != len(id.Chain) {
		t.Error("its chain is missing")
	}
}
