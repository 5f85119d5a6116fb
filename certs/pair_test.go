package certs

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// halves are a pair of identities, one to sign and one to be encrypted to.
func halves(t *testing.T, ca *testpki.CA, addr string, from time.Time) (signs, encrypts *Identity) {
	t.Helper()
	signs = identity(t, ca, testpki.Leaf{Addresses: []string{addr}, NotBefore: from, KeyUsage: x509.KeyUsageDigitalSignature})
	encrypts = identity(t, ca, testpki.Leaf{Addresses: []string{addr}, NotBefore: from, Key: "rsa2048", KeyUsage: x509.KeyUsageKeyEncipherment})
	return signs, encrypts
}

// announces checks which certificate, nil for none, travels with a signature for
// replies.
func announces(t *testing.T, name string, id *Identity, want *x509.Certificate) {
	t.Helper()
	var got *x509.Certificate
	if id != nil && len(id.Chain) > 0 && !id.Chain[0].IsCA {
		got = id.Chain[0]
	}
	if id == nil || got == nil && want != nil || got != nil && !got.Equal(want) {
		t.Errorf("%s: %+v announces %v", name, id, got)
	}
}

// A key that only signs goes with the newest key to encrypt to of the same
// address, wherever that was found: in one file, in another one, or among keys.
func TestPaired(t *testing.T) {
	now := time.Now()
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: now.Add(-1000 * time.Hour)}))
	sub := testpki.Must(ca.Intermediate(testpki.Options{Name: "Sub", NotBefore: now.Add(-1000 * time.Hour)}))
	signs, encrypts := halves(t, sub, "a@x.org", now.Add(-time.Hour))
	_, old := halves(t, sub, "a@x.org", now.Add(-100*time.Hour))
	_, future := halves(t, sub, "a@x.org", now.Add(time.Hour))
	_, stranger := halves(t, sub, "b@x.org", now.Add(-time.Minute))
	both := identity(t, ca, testpki.Leaf{Addresses: []string{"a@x.org"}, Key: "rsa2048"})

	pair := Paired(signs, []*Identity{signs, old, future, stranger, encrypts}, now)
	announces(t, "newest", pair, encrypts.Certificate)
	if len(pair.Chain) != 2 || !slices.ContainsFunc(pair.Chain, sub.Certificate.Equal) || len(signs.Chain) != 1 {
		t.Errorf("chains of %d and %d", len(pair.Chain), len(signs.Chain))
	}
	announces(t, "alone", Paired(signs, []*Identity{signs, future, stranger}, now), nil)
	if Paired(both, []*Identity{encrypts}, now) != both {
		t.Error("one that does both is paired")
	}
	announces(t, "keys", testpki.Must(NewKeys(nil, old, encrypts, signs).Signing(t.Context(), mustAddress(t, "A@x.org"))), encrypts.Certificate)
}

// A pair that is split between several Keys is announced as one that is together.
func TestPairedAcrossKeys(t *testing.T) {
	now := time.Now()
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: now.Add(-1000 * time.Hour)}))
	signs, encrypts := halves(t, ca, "a@x.org", now.Add(-time.Hour))
	_, old := halves(t, ca, "a@x.org", now.Add(-100*time.Hour))
	_, stranger := halves(t, ca, "b@x.org", now.Add(-time.Minute))
	both := identity(t, ca, testpki.Leaf{Addresses: []string{"a@x.org"}, Key: "rsa2048"})
	a := mustAddress(t, "A@x.org")
	for name, c := range map[string]struct {
		keys Keys
		want *x509.Certificate
	}{
		"behind it":     {Join(NewKeys(nil, signs), NewKeys(nil, encrypts)), encrypts.Certificate},
		"before it":     {Join(NewKeys(nil, encrypts), NewKeys(nil, signs)), encrypts.Certificate},
		"joined twice":  {Join(Join(NewKeys(nil, encrypts)), NewKeys(nil, signs)), encrypts.Certificate},
		"the newer":     {Join(NewKeys(nil, signs, old), NewKeys(nil, encrypts)), encrypts.Certificate},
		"not the older": {Join(NewKeys(nil, signs, encrypts), NewKeys(nil, old)), encrypts.Certificate},
		"none":          {Join(NewKeys(nil, signs), NewKeys(nil, stranger)), nil},
		"with overlap":  {Join(NewKeys(nil, signs), WithOverlap(NewKeys(nil, encrypts), time.Hour, nil)), encrypts.Certificate},
	} {
		announces(t, name, testpki.Must(c.keys.Signing(t.Context(), a)), c.want)
	}
	if id := testpki.Must(Join(NewKeys(nil, old), NewKeys(nil, both)).Signing(t.Context(), a)); id != both {
		t.Error("one that does both is paired")
	}
}
