package path

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestSecondOpinion makes authorities of all sorts and holds the verdicts against
// those of crypto/x509: nothing passes here that does not pass there, and what is
// refused here alone is refused for a reason that crypto/x509 does not look at. (An
// excluded host is no domain, RFC 5280 section 4.2.1.10, but crypto/x509 takes it
// for one: none is drawn.)
func TestSecondOpinion(t *testing.T) {
	now := time.Now()
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root", NotBefore: now.Add(-1000 * time.Hour)}))
	roots := x509.NewCertPool()
	roots.AddCert(root.Root)
	ours := map[certs.Reason]bool{certs.WrongPurpose: true, certs.NotAnAuthority: true, certs.NameConstraint: true}
	rapid.Check(t, func(t *rapid.T) {
		ca, inter := root, x509.NewCertPool()
		for i := range rapid.IntRange(0, 3).Draw(t, "authorities") {
			ca = testpki.Must(ca.Intermediate(drawAuthority(t, now, fmt.Sprint("CA ", i))))
			inter.AddCert(ca.Certificate)
		}
		id := testpki.Must(ca.Issue(drawLeaf(t, now)))
		_, err := id.Certificate.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: inter, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		})
		v, setup := NewValidator(Config{Anchors: []*x509.Certificate{root.Root}, Revocation: certs.RevocationOff, Clock: func() time.Time { return now }})
		if setup != nil {
			t.Fatal(setup)
		}
		got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: id.Chain})
		switch {
		case got.Result == certs.Pass && err != nil:
			t.Fatalf("passed, and crypto/x509 says: %v", err)
		case got.Result != certs.Pass && err == nil && !ours[got.Reason]:
			t.Fatalf("%s: %s, and crypto/x509 passes it", got.Reason, got.Detail)
		}
	})
}

// drawValidity is mostly valid now.
func drawValidity(t *rapid.T, now time.Time) (from, to time.Time) {
	hours := func(name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, name)) * time.Hour
	}
	from, to = now.Add(-hours("since", 1, 20)), now.Add(hours("until", 1, 20))
	switch rapid.IntRange(0, 15).Draw(t, "validity") {
	case 0:
		to = now.Add(-time.Minute)
	case 1:
		from = now.Add(time.Minute)
	}
	return from, to
}

// drawAuthority gives each authority a name of its own: a self-issued one is not
// counted by a path length constraint (RFC 5280 section 4.2.1.9), and crypto/x509
// counts it.
func drawAuthority(t *rapid.T, now time.Time, name string) testpki.Options {
	o := testpki.Options{
		Name:            name,
		PathLen:         rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "path length"),
		PermittedEmails: rapid.SampledFrom([][]string{nil, nil, nil, {"x.org"}, {".x.org"}, {"a@x.org"}}).Draw(t, "permitted"),
		ExcludedEmails:  rapid.SampledFrom([][]string{nil, nil, nil, {"y.org"}, {".x.org"}, {"b@x.org"}}).Draw(t, "excluded"),
		ExtKeyUsage: rapid.SampledFrom([][]x509.ExtKeyUsage{nil, nil, nil, {x509.ExtKeyUsageServerAuth}, {x509.ExtKeyUsageAny},
			{x509.ExtKeyUsageEmailProtection}}).Draw(t, "purposes"),
	}
	o.NotBefore, o.NotAfter = drawValidity(t, now)
	switch rapid.IntRange(0, 15).Draw(t, "oddity") {
	case 0:
		o.Edit = func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, 0, false }
	case 1:
		o.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }
	}
	return o
}

func drawLeaf(t *rapid.T, now time.Time) testpki.Leaf {
	l := testpki.Leaf{
		Addresses: rapid.SampledFrom([][]string{nil, {"a@x.org"}, {"b@x.org"}, {"a@y.org"}, {"a@sub.x.org"}, {"a@x.org", "a@y.org"}}).Draw(t, "addresses"),
		KeyUsage: rapid.SampledFrom([]x509.KeyUsage{0, 0, testpki.NoKeyUsage, x509.KeyUsageContentCommitment,
			x509.KeyUsageKeyAgreement}).Draw(t, "usage"),
		ExtKeyUsage: rapid.SampledFrom([][]x509.ExtKeyUsage{nil, nil, {}, {x509.ExtKeyUsageAny}, {x509.ExtKeyUsageClientAuth},
			{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageEmailProtection}}).Draw(t, "purposes"),
	}
	l.NotBefore, l.NotAfter = drawValidity(t, now)
	return l
}
