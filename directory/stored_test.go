package directory

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func openStore(tb testing.TB, path string) *store.Store {
	tb.Helper()
	st, err := store.Open(context.Background(), store.Config{URL: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Error(err)
		}
	})
	return st
}

func put(tb testing.TB, st *store.Store, o store.Origin, list ...*testpki.Identity) {
	tb.Helper()
	news := make([]store.New, len(list))
	for i, id := range list {
		news[i] = store.New{Certificate: id.Certificate, Chain: id.Chain}
	}
	if _, err := st.Put(context.Background(), o, news...); err != nil {
		tb.Fatal(err)
	}
}

func issueStored(address string) *testpki.Identity {
	return testpki.Must(testCA().Issue(testpki.Leaf{Addresses: []string{address}}))
}

func TestStoredServesItsOrigins(t *testing.T) {
	st := openStore(t, "")
	imported, issued, harvested, allowed := issueStored(bob), issueStored(bob), issueStored(bob), issueStored(bob)
	put(t, st, store.Imported, imported)
	put(t, st, store.Issued, issued)
	put(t, st, store.Harvested, harvested, allowed)
	put(t, st, store.Authority, issueStored(bob))
	if err := st.SetMark(t.Context(), sha256.Sum256(allowed.Certificate.Raw), store.Allowed, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source *Stored
		want   []*testpki.Identity
	}{
		{NewStored("store", st, store.Imported, store.Issued), []*testpki.Identity{imported, issued, allowed}},
		{NewStored("harvested", st, store.Harvested), []*testpki.Identity{harvested, allowed}},
	} {
		list := testpki.Must(c.source.Find(t.Context(), addr(t, "BOB@example.net"))).Certificates
		if len(list) != len(c.want) {
			t.Errorf("%s has %d", c.source.Name(), len(list))
		}
		for _, id := range c.want {
			if !slices.ContainsFunc(list, id.Certificate.Equal) {
				t.Errorf("%s lacks one", c.source.Name())
			}
		}
		if list := testpki.Must(c.source.Find(t.Context(), addr(t, "alice@example.net"))).Certificates; len(list) != 0 {
			t.Errorf("%s has %d of another address", c.source.Name(), len(list))
		}
	}
}

// TestStoredAndTheCache: what is put into the store counts at once, and what is put
// there about others does not empty the cache.
func TestStoredAndTheCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st, elsewhere := openStore(t, path), openStore(t, path)
	counted := &fakeSource{name: "ldap"}
	d := open(t, Config{Sources: sources(NewStored("store", st, store.Imported), counted), Checker: &fakeChecker{}})
	look := func(want Outcome, calls int64) {
		t.Helper()
		if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != want || int64(counted.calls.Load()) != calls {
			t.Errorf("%s, the other source was asked %d times; want %s, %d", r.Outcome, counted.calls.Load(), want, calls)
		}
	}
	look(None, 1)
	put(t, st, store.Imported, issueStored("alice@example.net"))
	look(None, 1)
	put(t, elsewhere, store.Imported, issueStored("carol@example.net"))
	testpki.Must(st.TrustGeneration(t.Context()))
	look(None, 1)
	own := issueStored(bob)
	put(t, elsewhere, store.Imported, own)
	testpki.Must(st.TrustGeneration(t.Context()))
	look(Usable, 1)
	if err := st.Remove(t.Context(), sha256.Sum256(own.Certificate.Raw), false); err != nil {
		t.Fatal(err)
	}
	look(None, 2)
	d.Flush()
	look(None, 3)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	look(None, 3) // what is remembered serves
	d.Flush()
	look(Unknown, 4)
}

// TestStoredAndBlocked: what is blocked in the store is refused at once, by a Checker too that has not
// heard of it.
func TestStoredAndBlocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st, elsewhere := openStore(t, path), openStore(t, path)
	d := open(t, Config{Sources: sources(NewStored("store", st, store.Imported)), Checker: validator(t, testCA())})
	look := func(want Outcome, reason certs.Reason) {
		t.Helper()
		r := d.Lookup(t.Context(), addr(t, bob))
		if r.Outcome != want || len(r.Candidates) != 1 || r.Candidates[0].Verdict.Reason != reason {
			t.Errorf("%s, %+v; want %s, %q", r.Outcome, r.Candidates, want, reason)
		}
	}
	id := issueStored(bob)
	blocked := func(mark store.Mark) error {
		return elsewhere.PutMarked(t.Context(), store.Imported, store.New{Certificate: id.Certificate, Chain: id.Chain}, mark, "stolen", time.Time{})
	}
	for _, step := range []struct {
		mark   store.Mark
		want   Outcome
		reason certs.Reason
	}{{store.Blocked, None, certs.Blocked}, {store.NoMark, Usable, ""}, {store.Blocked, None, certs.Blocked}} {
		if err := blocked(step.mark); err != nil {
			t.Fatal(err)
		}
		testpki.Must(st.TrustGeneration(t.Context())) // else what is remembered serves
		look(step.want, step.reason)
	}
}

// TestStoreThatFellSilent: what is remembered does not serve where it is known that
// something changed, and not what.
func TestStoreThatFellSilent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st, elsewhere := openStore(t, path), openStore(t, path)
	d := open(t, Config{Sources: sources(NewStored("store", st, store.Imported)), Checker: &fakeChecker{}})
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != None {
		t.Error(r.Outcome)
	}
	put(t, elsewhere, store.Imported, issueStored(bob))
	testpki.Must(st.TrustGeneration(t.Context()))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != Unknown {
		t.Error(r.Outcome)
	}
}

// BenchmarkStored looks recipients up end to end, each for the first time: in a
// store of 100,000 certificates, with all their paths checked.
func BenchmarkStored(b *testing.B) {
	const many = 100_000
	st := openStore(b, filepath.Join(b.TempDir(), "store.db"))
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	sub := testpki.Must(ca.Intermediate(testpki.Options{Name: "Sub"}))
	key := testpki.Must(sub.Issue(testpki.Leaf{})).Key
	var list []*testpki.Identity
	for i := range many {
		list = append(list, testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("p%d@example.com", i)}, PrivateKey: key})))
		if len(list) == 1000 {
			put(b, st, store.Imported, list...)
			list = nil
		}
	}
	v := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Certificate}, Revocation: certs.RevocationOff}))
	d := New(Config{Sources: sources(NewStored("store", st, store.Imported, store.Issued), NewStored("harvested", st, store.Harvested)), Checker: v})
	defer d.Close()
	var times []time.Duration
	for b.Loop() {
		a := addr(b, fmt.Sprintf("p%d@example.com", rand.IntN(many)))
		start := time.Now()
		if r := d.LookupFresh(context.Background(), a); r.Outcome != Usable {
			b.Fatal(r.Outcome, r.Answers)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "median-µs")
}
