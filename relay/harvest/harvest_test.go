package harvest

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestOneAddressCannotFillTheStore keeps the newest, and what an administrator decided
// about.
func TestOneAddressCannotFillTheStore(t *testing.T) {
	w := newWorld(t, nil)
	var youngest []*testpki.Identity
	for i := range perAddress + 5 {
		id := w.issue(100-i, nil, bob)
		w.Message(w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}}))
		youngest = append([]*testpki.Identity{id}, youngest...)
	}
	w.wantKept("more than there is room for", bob, youngest[:perAddress]...)
	w.Message(w.passing(letter{from: bob, signers: []cms.Signer{w.signer(w.issue(200, nil, bob))}}))
	w.wantKept("an older one", bob, youngest[:perAddress]...)
}

func TestBudget(t *testing.T) {
	var b budget
	now := time.Now()
	for i := range perDomain + 10 {
		if got := b.spend("a.example", now); got != (i < perDomain) {
			t.Fatalf("the domain's %d: %t", i, got)
		}
	}
	for i := range perHour {
		if got := b.spend(fmt.Sprintf("%d.example", i), now); got != (i < perHour-perDomain) {
			t.Fatalf("another domain's %d: %t", i, got)
		}
	}
	if !b.spend("a.example", now.Add(time.Hour)) {
		t.Error("the next hour has nothing")
	}
}

// TestStoreThatFails keeps nothing, and the next message tries again.
func TestStoreThatFails(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}})
	broken := testpki.Must(store.Open(context.Background(), store.Config{}))
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	good := w.cfg.Store
	w.cfg.Store = broken
	w.flush()
	w.Message(r)
	w.Close()
	if !strings.Contains(w.log.String(), "not harvested") {
		t.Errorf("it is not in the log:\n%s", w.log.String())
	}
	w.cfg.Store = good
	w.Harvester = New(w.cfg)
	w.Message(r)
	w.wantKept("when it works again", bob, id)
}

// blocking is a Checker that waits for its context.
type blocking struct{ entered chan struct{} }

func (b blocking) Check(ctx context.Context, _ *x509.Certificate, _ certs.Request) certs.Verdict {
	select {
	case b.entered <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return certs.Verdict{Result: certs.TempError}
}

// TestNobodyWaits: Message returns although the worker is busy and the queue full,
// and Close ends what does not end by itself.
func TestNobodyWaits(t *testing.T) {
	w := newWorld(t, nil)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(w.issue(10, nil, bob))}})
	b := blocking{make(chan struct{}, 1)}
	w.cfg.Checker = b
	w.flush()
	w.Message(r)
	<-b.entered
	for range 2 * queued {
		w.Message(r)
	}
	h := w.Harvester
	h.cancel() // Close would wait for closeLimit first
	w.Close()
	w.Message(r) // after the end
	if n := strings.Count(w.log.String(), "too many certificates to store"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
}

type panicking struct{}

func (panicking) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	panic("hostile bytes")
}

func TestPanicIsContained(t *testing.T) {
	w := newWorld(t, nil)
	r := w.passing(letter{from: bob, signers: []cms.Signer{w.signer(w.issue(10, nil, bob))}})
	good := w.cfg.Checker
	w.cfg.Checker = panicking{}
	w.flush()
	w.Message(r)
	w.Close()
	if !strings.Contains(w.log.String(), "msg=panic at=harvest") {
		t.Error("the panic is not logged")
	}
	w.log.Reset()
	w.cfg.Checker = good
	w.Harvester = New(w.cfg)
}

func TestVerdictsOfLookupsAreNoted(t *testing.T) {
	w := newWorld(t, nil)
	id := w.issue(10, nil, bob)
	w.Message(w.passing(letter{from: bob, signers: []cms.Signer{w.signer(id)}}))
	revoked := directory.Result{Candidates: []directory.Candidate{
		{Certificate: id.Certificate, Verdict: certs.Verdict{Result: certs.Fail, Reason: certs.Revoked}},
		{Certificate: w.ca.Certificate, Verdict: certs.Verdict{Result: certs.Pass}}, // of another source
	}}
	remembered := revoked
	remembered.Answers = []directory.Answer{{Cached: true}}
	w.Looked(remembered)
	w.Looked(directory.Result{})
	if got := w.wantKept("what was remembered", bob, id); got[0].Result != certs.Pass {
		t.Errorf("noted %s from the cache", got[0].Result)
	}
	w.Looked(revoked)
	if got := w.wantKept("after a lookup", bob, id); got[0].Result != certs.Fail || got[0].Reason != certs.Revoked {
		t.Errorf("noted %s %s", got[0].Result, got[0].Reason)
	}
}
