package enrol_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// tokenInFiles is a token whose keys are files of a folder, named by their identifiers: another
// process finds them.
type tokenInFiles struct {
	dir string
	// step is called before and after a key is made.
	step func()
	err  error
}

// Name implements enrol.Token.
func (f *tokenInFiles) Name() string { return "files" }

// Generate implements enrol.Token.
func (f *tokenInFiles) Generate(_ string, id []byte, _ string) (crypto.Signer, error) {
	if f.err != nil {
		return nil, f.err
	}
	name := filepath.Join(f.dir, fmt.Sprintf("%x", id))
	if _, err := os.Stat(name); err != nil {
		f.step()
		key := testpki.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		if err := os.WriteFile(name, testpki.Must(x509.MarshalPKCS8PrivateKey(key)), 0o600); err != nil {
			return nil, err
		}
		f.step()
	}
	return f.read(name), nil
}

func (f *tokenInFiles) read(name string) crypto.Signer {
	return testpki.Must(x509.ParsePKCS8PrivateKey(testpki.Must(os.ReadFile(name)))).(crypto.Signer)
}

func (f *tokenInFiles) names() []string {
	return testpki.Must(filepath.Glob(filepath.Join(f.dir, "*")))
}

// find is Config.TokenKey.
func (f *tokenInFiles) find(k *certs.TokenKey) (crypto.Signer, error) {
	for _, name := range f.names() {
		if key := f.read(name); key.Public().(*ecdsa.PublicKey).Equal(k.Public()) {
			return key, nil
		}
	}
	return nil, errDown
}

// withToken is an enroller whose keys are made in a token.
func (w *world) withToken(p enrol.Provider, f *tokenInFiles) *enrol.Enroller {
	e := w.enroller(p, func(en *enrol.Enrolment) { en.Token, en.Separate = f, true })
	e.TokenKey = f.find
	return e
}

// TestKeysInToken: the keys of an order are made in the token and stay there; the store has their
// certificates, to sign and to decrypt, and a renewal makes new ones beside them.
func TestKeysInToken(t *testing.T) {
	w := newWorld(t)
	f := &tokenInFiles{dir: t.TempDir(), step: func() {}}
	e := w.withToken(w.builtin(), f)
	alice := addr("alice@example.com")
	for n, now := range []time.Duration{0, 340 * day} {
		w.advance(now)
		id, err := e.Issue(t.Context(), alice)
		if err != nil || id == nil {
			t.Fatalf("%d: %v", n, err)
		}
		if held, ok := id.Key.(*certs.TokenKey); !ok || held.Token != "files" {
			t.Errorf("%d: the key is a %T", n, id.Key)
		}
		if got := len(f.names()); got != 2*(n+1) {
			t.Errorf("%d: %d keys in the token", n, got)
		}
	}
	found := testpki.Must(w.store.Find(t.Context(), store.Query{Address: &alice}))
	for _, c := range found {
		if !c.HasKey || c.Token != "files" {
			t.Errorf("%x: key %t, in the token %q", c.Fingerprint, c.HasKey, c.Token)
		}
	}
	if len(found) != 4 || !testpki.Must(w.store.HasTokenKeys(t.Context())) {
		t.Errorf("%d certificates", len(found))
	}
}

// TestTokenAway: while the token is unavailable the order waits, with growing delays and nothing
// sent; one that it refuses fails; and what was never made leaves nothing to clear.
func TestTokenAway(t *testing.T) {
	w := newWorld(t)
	alice := "alice@example.com"
	f := &tokenInFiles{dir: t.TempDir(), step: func() {}, err: errDown}
	p := &scripted{answer: func(*enrol.Order) (enrol.Answer, error) { return enrol.Answer{}, nil }}
	e := w.withToken(p, f)
	e.Enrolments[0].Separate = false // one order, of which the attempts are counted
	if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.must(e.Work(t.Context(), "test"))
	o := w.orders(alice)[0]
	if o.Key != nil || o.Attempts != 2 || o.NextAt.Sub(w.clock()) != 5*time.Minute || o.Problem == "" || p.begun+p.asked > 0 {
		t.Errorf("%d attempts, next after %v, %q; %d sent", o.Attempts, o.NextAt.Sub(w.clock()), o.Problem, p.begun+p.asked)
	}
	f.err = &enrol.Refusal{Cause: errors.New("it is full")}
	w.advance(time.Hour)
	w.must(e.Work(t.Context(), "test"))
	if o := w.orders(alice)[0]; o.State != store.OrderFailed {
		t.Errorf("refused: %s", o.State)
	}
	w.must(e.Cancel(t.Context(), o.Bundle))
	w.must(e.Work(t.Context(), "test"))
	if p.begun+p.asked > 0 {
		t.Error("a provider was asked about an order that was never sent")
	}
}

// TestCancelledWhileWaiting: what a provider issues after the cancellation is revoked, whether the
// order waited for it or an attempt was under way; after a month it is given up.
func TestCancelledWhileWaiting(t *testing.T) {
	for _, decides := range []bool{true, false} {
		w := newWorld(t)
		certify := foreign(t)
		alice := "alice@example.com"
		revoked, decided := 0, false
		p := &revoking{}
		p.answer = func(o *enrol.Order) (enrol.Answer, error) {
			if decided {
				return enrol.Answer{Certificates: certify(o, alice)}, nil
			}
			return enrol.Answer{After: time.Minute}, nil
		}
		e := w.enroller(p, func(en *enrol.Enrolment) { en.Origin = store.Imported })
		p.revoke = func(context.Context, *x509.Certificate) error { revoked++; return nil }
		if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, certs.ErrOrdered) {
			t.Fatal(err)
		}
		w.must(e.Cancel(t.Context(), w.orders(alice)[0].Bundle))
		if e.Work(t.Context(), "test") == nil || w.orders(alice)[0].Key == nil {
			t.Error("cleared while the provider has not decided")
		}
		if decided = decides; decides {
			w.advance(time.Hour)
		} else {
			w.advance(31 * day)
		}
		w.must(e.Work(t.Context(), "test"))
		if o := w.orders(alice)[0]; o.Key != nil || (revoked == 1) != decides {
			t.Errorf("decides %t: %d revoked, key kept %t", decides, revoked, o.Key != nil)
		}
	}
}

// TestClearRemoved: cancelled orders of a table that is gone are cleared, and those of others are
// left to them.
func TestClearRemoved(t *testing.T) {
	w := newWorld(t)
	alice := "alice@example.com"
	p := &revoking{}
	p.answer = func(*enrol.Order) (enrol.Answer, error) { return enrol.Answer{After: time.Minute}, nil }
	e := w.enroller(p, nil)
	if _, err := e.Issue(t.Context(), addr(alice)); !errors.Is(err, certs.ErrOrdered) {
		t.Fatal(err)
	}
	w.must(e.Cancel(t.Context(), w.orders(alice)[0].Bundle))
	w.must(e.ClearRemoved(t.Context()))
	if w.orders(alice)[0].Key == nil {
		t.Error("an order of a table that is there")
	}
	other := w.enroller(p, func(en *enrol.Enrolment) { en.Name = "other" })
	w.must(other.ClearRemoved(t.Context()))
	if w.orders(alice)[0].Key != nil {
		t.Error("not cleared")
	}
}
