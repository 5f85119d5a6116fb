package publish

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// counting counts the judgements of a checker.
type counting struct {
	certs.Checker
	n int
}

func (c *counting) Check(ctx context.Context, cert *x509.Certificate, r certs.Request) certs.Verdict {
	c.n++
	return c.Checker.Check(ctx, cert, r)
}

// shelf is what snapshots of a test are made of.
type shelf struct {
	t       *testing.T
	root    *testpki.CA
	list    []*testpki.Identity
	checker *counting
	now     time.Time
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{t: t, root: testpki.Must(testpki.NewCA(testpki.Options{})), now: time.Now()}
	v := testpki.Must(path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{s.root.Certificate}, Revocation: certs.RevocationOff, Clock: func() time.Time { return s.now },
	}))
	s.checker = &counting{Checker: v}
	return s
}

// add issues a certificate.
func (s *shelf) add(ca *testpki.CA, l testpki.Leaf) *x509.Certificate {
	s.t.Helper()
	id := testpki.Must(ca.Issue(l))
	s.list = append(s.list, id)
	return id.Certificate
}

func (s *shelf) config() Config {
	return Config{
		Each: func(_ context.Context, f func(*x509.Certificate, []*x509.Certificate) bool) error {
			for _, id := range s.list {
				if !f(id.Certificate, id.Chain) {
					break
				}
			}
			return nil
		},
		Own:     func(a address.Address) bool { return strings.HasSuffix(a.Domain(), "example.org") },
		Checker: s.checker, Clock: func() time.Time { return s.now },
	}
}

func (s *shelf) snapshot(before *Snapshot) *Snapshot {
	s.t.Helper()
	b, err := New(s.t.Context(), s.config(), before)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func find(t *testing.T, b *Snapshot, text string) []*x509.Certificate {
	t.Helper()
	e := b.Find(testpki.Must(address.Parse(text)))
	if e == nil {
		return nil
	}
	return e.Certificates
}

func wantCertificates(t *testing.T, b *Snapshot, text string, want ...*x509.Certificate) {
	t.Helper()
	if got := find(t, b, text); !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Errorf("%s: %d certificates, want %d", text, len(got), len(want))
	}
}

// TestSnapshot: what can be encrypted to now is in it, the newest of each kind of key, and
// nothing else.
func TestSnapshot(t *testing.T) {
	s := newShelf(t)
	hour := func(n time.Duration) time.Time { return s.now.Add(n * time.Hour) }
	s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}, NotBefore: hour(-9)})
	newer := s.add(s.root, testpki.Leaf{Addresses: []string{"Alice@example.org", "a@example.org", "x@partner.example"}, NotBefore: hour(-2)})
	rsa := s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}, NotBefore: hour(-5), Key: "rsa2048"})
	s.add(s.root, testpki.Leaf{Addresses: []string{"expired@example.org"}, NotBefore: hour(-9), NotAfter: hour(-1)})
	future := s.add(s.root, testpki.Leaf{Addresses: []string{"future@example.org"}, NotBefore: s.now.Add(time.Minute)})
	s.add(s.root, testpki.Leaf{Addresses: []string{"signs@example.org"}, KeyUsage: x509.KeyUsageDigitalSignature})
	s.add(testpki.Must(testpki.NewCA(testpki.Options{})), testpki.Leaf{Addresses: []string{"untrusted@example.org"}})
	s.add(s.root, testpki.Leaf{Addresses: []string{"bob@partner.example"}})
	middle := testpki.Must(s.root.Intermediate(testpki.Options{}))
	below := s.add(middle, testpki.Leaf{Addresses: []string{"below@example.org"}})

	b := s.snapshot(nil)
	wantCertificates(t, b, "ALICE@example.org", newer, rsa)
	wantCertificates(t, b, "a@example.org", newer)
	wantCertificates(t, b, "below@example.org", below)
	for _, none := range []string{"expired@example.org", "future@example.org", "signs@example.org", "untrusted@example.org", "bob@partner.example", "x@partner.example", "absent@example.org"} {
		wantCertificates(t, b, none)
	}
	e := b.Find(testpki.Must(address.Parse("below@example.org")))
	if len(e.Chain) != 1 || !e.Chain[0].Equal(middle.Certificate) {
		t.Errorf("a chain of %d", len(e.Chain))
	}
	var all []string
	for _, e := range b.sorted {
		all = append(all, e.Address.Key(address.IgnoreCase))
	}
	if want := []string{"a@example.org", "alice@example.org", "below@example.org"}; !slices.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
	if !b.Until().Equal(future.NotBefore) {
		t.Errorf("until %v, want %v", b.Until(), future.NotBefore)
	}
}

// TestVerdictsCountForATime: they are used again, unless they are too old or of another
// checker; what is gone from the shelf is gone from the next snapshot.
func TestVerdictsCountForATime(t *testing.T) {
	s := newShelf(t)
	alice := s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}})
	s.add(s.root, testpki.Leaf{Addresses: []string{"bob@example.org"}})
	first := s.snapshot(nil)
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"nothing changed", func() {}, 2},
		{"time passed", func() { s.now = s.now.Add(rejudge) }, 4},
		{"another checker", func() { s.checker = &counting{Checker: s.checker.Checker} }, 2},
		{"one is gone", func() { s.list = s.list[:1] }, 2},
	} {
		step.do()
		if first = s.snapshot(first); s.checker.n != step.want {
			t.Errorf("%s: %d judgements, want %d", step.name, s.checker.n, step.want)
		}
	}
	wantCertificates(t, first, "alice@example.org", alice)
	wantCertificates(t, first, "bob@example.org")
}

// TestUnknownIsAskedAgainSoon: what cannot be judged now is not published now.
func TestUnknownIsAskedAgainSoon(t *testing.T) {
	s := newShelf(t)
	s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}})
	s.checker.Checker = silent{}
	b := s.snapshot(nil)
	wantCertificates(t, b, "alice@example.org")
	if !b.Unknown(testpki.Must(address.Parse("Alice@example.org"))) || b.Unknown(testpki.Must(address.Parse("bob@example.org"))) {
		t.Error("of whom a certificate is unknown is not known")
	}
	if end := b.Until().Add(rejudge); b.Outdated(end) || !b.Outdated(end.Add(1)) {
		t.Error("a snapshot counts for another time")
	}
	if want := s.now.Add(retry); !b.Until().Equal(want) {
		t.Errorf("until %v, want %v", b.Until(), want)
	}
}

type silent struct{}

func (silent) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	return certs.Verdict{Result: certs.TempError}
}

// TestNoHalfSnapshot: where not all could be read, there is no new snapshot.
func TestNoHalfSnapshot(t *testing.T) {
	s := newShelf(t)
	cfg := s.config()
	cfg.Each = func(context.Context, func(*x509.Certificate, []*x509.Certificate) bool) error { return errors.New("x") }
	if b, err := New(t.Context(), cfg, nil); b != nil || err == nil {
		t.Error("a snapshot was made")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}})
	if b, err := New(ctx, s.config(), nil); b != nil || err == nil {
		t.Error("a snapshot was made after the end")
	}
}

// TestOneSpelling: an address that certificates spell differently has one spelling in every
// snapshot, from which the names in the DNS are made.
func TestOneSpelling(t *testing.T) {
	s := newShelf(t)
	for _, l := range []testpki.Leaf{{Addresses: []string{"alice@example.org"}}, {Addresses: []string{"Alice@example.org"}, Key: "rsa2048"}, {Addresses: []string{"aLICE@example.org"}, Key: "ed25519"}, {Addresses: []string{"ALICE@example.org"}, Key: "x25519"}} {
		s.add(s.root, l)
	}
	for range 30 { // the order in a map is another each time
		b := s.snapshot(nil)
		if e := b.Find(testpki.Must(address.Parse("alice@example.org"))); e == nil || e.Address.String() != "ALICE@example.org" {
			t.Fatalf("%+v", e)
		}
	}
}

// TestUnsureCertificates: which certificates cannot be judged is known one by one, also where
// another of the same address passes, or is refused.
func TestUnsureCertificates(t *testing.T) {
	s := newShelf(t)
	good := s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}})
	unknown := s.add(s.root, testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"})
	s.checker.Checker = partly{s.checker.Checker, unknown}
	b := s.snapshot(nil)
	wantCertificates(t, b, "alice@example.org", good)
	if b.Unknown(testpki.Must(address.Parse("alice@example.org"))) {
		t.Error("one that passes is not known")
	}
	all := func(address.Address) bool { return true }
	if kept := b.Unsure(all).Keep([][]byte{good.Raw, unknown.Raw, []byte("x")}); len(kept) != 1 || !slices.Equal(kept[0], unknown.Raw) {
		t.Errorf("%d are kept", len(kept))
	}
	if kept := b.Unsure(func(address.Address) bool { return false }).Keep([][]byte{unknown.Raw}); len(kept) != 0 {
		t.Error("one of an address that is not published is kept")
	}
}

// partly cannot judge one certificate.
type partly struct {
	certs.Checker
	unknown *x509.Certificate
}

func (p partly) Check(ctx context.Context, c *x509.Certificate, r certs.Request) certs.Verdict {
	if c.Equal(p.unknown) {
		return certs.Verdict{Result: certs.TempError}
	}
	return p.Checker.Check(ctx, c, r)
}
