package acme_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestOrder: ordered, asked by mail, answered once, issued with the key that was made here.
func TestOrder(t *testing.T) {
	w := newWorld(t, nil)
	w.server.Slow = 2
	m := w.ordered()
	raw := w.signed(m.Bytes(), "ca.example")
	if v, err := w.take(raw); err != nil || !v.Taken || v.Deliver {
		t.Fatalf("%+v, %v", v, err)
	}
	if v, err := w.take(raw); err != nil || v.Taken || v.Reason == "" {
		t.Errorf("again: %+v, %v", v, err)
	}
	w.answers()
	w.answers()
	for range 5 {
		w.work(time.Minute)
	}
	id, err := w.issue()
	if err != nil || id == nil {
		t.Fatalf("%v; %+v", err, w.order())
	}
	if _, ok := id.Key.(*ecdsa.PrivateKey); !ok || id.Check() != nil || len(w.sent) != 1 || w.server.Issued() != 1 || w.server.Requests("finalize") != 1 {
		t.Errorf("%T, %d answers, %d issued, finalized %d times", id.Key, len(w.sent), w.server.Issued(), w.server.Requests("finalize"))
	}
	if n := w.server.Requests("challenge"); n > 1 {
		t.Errorf("announced %d times", n)
	}
	done := w.order()
	if by, err := w.enrol.Revoke(t.Context(), &done); err != nil || !by || len(w.server.Revoked()) != 1 {
		t.Errorf("%v, %v", by, err)
	}
	if _, err := w.enrol.Revoke(t.Context(), &done); err != nil {
		t.Errorf("revoked again: %v", err)
	}
}

// TestRenewal: near its end a certificate is replaced by another order, whose key is another
// one; the old one stays.
func TestRenewal(t *testing.T) {
	w := newWorld(t, nil)
	enrolled := func() *certs.Identity {
		m := w.ordered()
		if v, err := w.take(w.signed(m.Bytes(), "ca.example")); err != nil || !v.Taken {
			t.Fatalf("%+v, %v", v, err)
		}
		w.answers()
		w.work(time.Minute)
		w.work(time.Minute)
		id, err := w.issue()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := enrolled()
	w.mu.Lock()
	w.now = first.Certificate.NotAfter.Add(-time.Minute * 10)
	w.mu.Unlock()
	if !w.enrol.Due(t.Context(), first) {
		t.Fatal("not due")
	}
	if id, err := w.issue(); id == nil && err == nil {
		t.Error("neither an identity nor a reason")
	}
	if w.server.Requests("new-order") != 2 || w.server.Accounts() != 1 {
		t.Errorf("%d orders of %d accounts", w.server.Requests("new-order"), w.server.Accounts())
	}
	if v, err := w.take(w.signed(w.mails[1].Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Fatalf("%+v, %v", v, err)
	}
	w.answers()
	w.work(time.Minute)
	w.work(time.Minute)
	kept, err := w.store.Identity(t.Context(), sha256.Sum256(first.Certificate.Raw))
	if err != nil || kept.Check() != nil {
		t.Errorf("the first key: %v", err)
	}
	if n := testpki.Must(w.store.Count(t.Context(), store.Query{HasKey: new(true)})); n != 2 {
		t.Errorf("%d identities", n)
	}
}

// TestAccount: one account for a table, also of a gateway that was started again; what it
// lacks is said.
func TestAccount(t *testing.T) {
	w := newWorld(t, nil)
	w.server.Terms = "https://ca.example/terms"
	w.server.EAB = map[string][]byte{"kid-1": []byte("0123456789abcdef0123456789abcdef")}
	problem := func(want string) {
		t.Helper()
		w.work(time.Hour * 24)
		_, _ = w.issue()
		if o := w.order(); !strings.Contains(o.Problem, want) || o.State == store.OrderFailed {
			t.Errorf("%s: %q", o.State, o.Problem)
		}
	}
	problem("accept_terms")
	accept := func(c *acme.Config, _ *acme.ResponderEnrolment) { c.AcceptTerms = true }
	w.configure(accept)
	problem("eab_key_id")
	mac := filepath.Join(t.TempDir(), "mac")
	bind := func(c *acme.Config, d *acme.ResponderEnrolment) {
		accept(c, d)
		c.EABKeyID, c.EABKeyFile, c.Contact = "kid-1", mac, "admin@example.org"
	}
	write := func(key string) {
		if err := os.WriteFile(mac, []byte(base64.StdEncoding.EncodeToString([]byte(key))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("another key, which is of no account")
	w.configure(bind)
	problem("externalAccountRequired")
	write("0123456789abcdef0123456789abcdef")
	for range 2 {
		w.configure(bind)
		w.work(24 * time.Hour)
	}
	if o := w.order(); o.Problem != "" || w.server.Accounts() != 1 || w.server.Requests("new-order") != 1 {
		t.Errorf("%q, %d accounts, %d orders", o.Problem, w.server.Accounts(), w.server.Requests("new-order"))
	}
}

// TestProblems: what the server refuses for good fails the order, all else is tried again.
func TestProblems(t *testing.T) {
	for kind, final := range map[string]bool{"rateLimited": false, "serverInternal": false, "unauthorized": false,
		"rejectedIdentifier": true, "unsupportedIdentifier": true} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, nil)
			w.server.Refuse("new-order", kind)
			if _, err := w.issue(); err == nil {
				t.Fatal("no error")
			}
			if o := w.order(); (o.State == store.OrderFailed) != final || !strings.Contains(o.Problem, kind) {
				t.Errorf("%s: %q", o.State, o.Problem)
			}
			w.server.Refuse("new-order", "")
			w.work(time.Hour)
			if got := w.server.Requests("new-order"); got != map[bool]int{true: 1, false: 2}[final] {
				t.Errorf("asked %d times", got)
			}
		})
	}
}

// TestGivenUp: an order that the authority gives up fails, and is made again when an
// administrator says so, with the same key.
func TestGivenUp(t *testing.T) {
	w := newWorld(t, nil)
	w.ordered()
	key := w.order().Key
	w.server.Expire()
	w.work(time.Hour)
	if o := w.order(); o.State != store.OrderFailed || !strings.Contains(o.Problem, "expired") || !strings.Contains(o.Problem, "did not come in") {
		t.Fatalf("%s: %q", o.State, o.Problem)
	}
	w.work(24 * time.Hour)
	if w.server.Requests("new-order") != 1 {
		t.Error("ordered again by itself")
	}
	w.must(w.store.RetryOrders(t.Context(), w.order().Bundle))
	w.work(time.Minute)
	if k, ok := w.order().Key.(*ecdsa.PrivateKey); w.server.Requests("new-order") != 2 || !ok || !k.Equal(key) {
		t.Errorf("%d orders", w.server.Requests("new-order"))
	}
}

// TestOnRequest: a server that sends its message only when it is asked to go on is asked.
func TestOnRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.server.OnRequest = true
	if _, err := w.issue(); err == nil {
		t.Fatal("no error")
	}
	for range 12 {
		w.work(time.Minute)
	}
	if len(w.mails) != 1 {
		t.Fatalf("%d messages", len(w.mails))
	}
	if v, err := w.take(w.signed(w.mails[0].Bytes(), "ca.example")); err != nil || !v.Taken {
		t.Fatalf("%+v, %v", v, err)
	}
	w.answers()
	w.work(time.Hour)
	w.work(time.Hour)
	if id, err := w.issue(); err != nil || id == nil {
		t.Errorf("%v", err)
	}
}

// TestSeparateKeys: two orders of an address are at the authority one after the other.
func TestSeparateKeys(t *testing.T) {
	w := newWorld(t, nil)
	w.enrol.Enrolments[0].Separate = true
	for range 2 {
		_, _ = w.issue()
		w.work(time.Minute)
	}
	if len(w.mails) != 1 {
		t.Fatalf("%d messages at once", len(w.mails))
	}
	for n := range 2 {
		if len(w.mails) != n+1 {
			t.Fatalf("%d messages", len(w.mails))
		}
		if v, err := w.take(w.signed(w.mails[n].Bytes(), "ca.example")); err != nil || !v.Taken {
			t.Fatalf("%d: %+v, %v", n, v, err)
		}
		w.answers()
		for range 3 {
			w.work(time.Minute)
		}
	}
	if id, err := w.issue(); err != nil || id == nil || w.server.Issued() != 2 {
		t.Errorf("%v, %d issued", err, w.server.Issued())
	}
}
