package path

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// affordable fails if check verifies more than the bound of a search, counted where
// signatures are verified and not where that is charged to the search.
func affordable(t *testing.T, check func()) {
	t.Helper()
	before := pkix.Spent()
	check()
	if work := pkix.Spent() - before; work > maxWork {
		t.Errorf("verifications as of %d signatures with RSA-2048, want at most %d", work, maxWork)
	}
}

// within fails if judging cert costs more than it may.
func within(t *testing.T, root *testpki.CA, cert *x509.Certificate, hints []*x509.Certificate, want certs.Reason) {
	t.Helper()
	affordable(t, func() {
		v := newValidator(t, Config{}, root) // one that remembers nothing
		got := v.Check(t.Context(), cert, certs.Request{Purpose: certs.ForSigning, Intermediates: hints})
		if got.Reason != want {
			t.Errorf("%s: %s; want %q", got.Reason, got.Detail, want)
		}
	})
}

// mesh returns n authorities of which each has certified the next many.
func mesh(n, each int, o testpki.Options) ([]*testpki.CA, []*x509.Certificate) {
	var all []*testpki.CA
	for i := range n {
		same := o
		if o.Name == "" {
			same.Name = fmt.Sprintf("CA %d", i)
		}
		all = append(all, testpki.Must(testpki.NewCA(same)))
	}
	var certs []*x509.Certificate
	for i, ca := range all {
		for j := 1; j <= each; j++ {
			certs = append(certs, testpki.Must(ca.CrossSign(all[(i+j)%n], testpki.Options{Edit: o.Edit})))
		}
	}
	return all, certs
}

// forger makes signatures as long as the largest key's.
type forger struct{ crypto.Signer }

func (forger) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	sig := make([]byte, pkix.MaxRSA/8)
	sig[len(sig)-1] = 3
	return sig, nil
}

func TestHostileSets(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	t.Run("200 authorities certify one another", func(t *testing.T) {
		all, hints := mesh(20, 10, testpki.Options{})
		within(t, root, testpki.Must(all[0].Issue(testpki.Leaf{})).Certificate, hints, certs.TooComplex)
	})
	t.Run("200 authorities of one name", func(t *testing.T) {
		all, hints := mesh(20, 10, testpki.Options{Name: "Same"})
		within(t, root, testpki.Must(all[0].Issue(testpki.Leaf{})).Certificate, hints, certs.TooComplex)
	})
	t.Run("one name and one key identifier", func(t *testing.T) {
		id := func(c *x509.Certificate) { c.SubjectKeyId = []byte("the same") }
		all, hints := mesh(20, 10, testpki.Options{Name: "Same", Edit: id})
		within(t, root, testpki.Must(all[0].Issue(testpki.Leaf{})).Certificate, hints, certs.TooComplex)
	})
	t.Run("a ring", func(t *testing.T) {
		all, hints := mesh(200, 1, testpki.Options{})
		within(t, root, testpki.Must(all[0].Issue(testpki.Leaf{})).Certificate, hints, certs.Untrusted)
	})
	t.Run("200 large keys of one name", func(t *testing.T) {
		ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Same", Key: "rsa2048"}))
		var hints []*x509.Certificate
		for i := range 200 {
			n := new(big.Int).Lsh(big.NewInt(1), pkix.MaxRSA-1)
			info := testpki.Must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(int64(2*i+1))), E: 1<<31 - 1}))
			hints = append(hints, testpki.Must(ca.Issue(testpki.Leaf{Name: "Same", PublicKeyInfo: info})).Certificate)
		}
		leaf := testpki.Must(ca.Issue(testpki.Leaf{})).Certificate
		var tbs []asn1.RawValue
		if _, err := asn1.Unmarshal(leaf.RawTBSCertificate, &tbs); err != nil {
			t.Fatal(err)
		}
		leaf = testpki.Must(testpki.Resign(leaf, tbs, forger{ca.Key}))
		within(t, root, leaf, hints, certs.TooComplex)
	})
	t.Run("a way out behind the mesh", func(t *testing.T) {
		all, hints := mesh(20, 10, testpki.Options{})
		hints = append(hints, testpki.Must(root.CrossSign(all[0], testpki.Options{})))
		within(t, root, testpki.Must(all[0].Issue(testpki.Leaf{})).Certificate, hints, "")
	})
}

// TestHostileNamesakes holds that certificates for the name of an authority, which
// cost nothing to make, neither keep us busy while lists are checked nor stay in
// memory.
func TestHostileNamesakes(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	hints := []*x509.Certificate{sub.Certificate}
	for i := range 200 {
		n := new(big.Int).Lsh(big.NewInt(1), pkix.MaxRSA-1)
		info := testpki.Must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(int64(2*i+1))), E: 1<<31 - 1}))
		hints = append(hints, testpki.Must(stranger.Issue(testpki.Leaf{Name: "Sub", PublicKeyInfo: info, KeyUsage: x509.KeyUsageCRLSign})).Certificate)
	}
	// A list that claims to be of the authority and is not signed by it.
	namesake := testpki.Must(testpki.NewCA(testpki.Options{Name: "Sub", Key: "rsa2048"}))
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(testpki.Must(namesake.CRL(testpki.CRL{})), &parts); err != nil {
		t.Fatal(err)
	}
	sig := testpki.Must(forger{}.Sign(nil, nil, nil))
	parts[2] = asn1.RawValue{Tag: asn1.TagBitString, Bytes: append([]byte{0}, sig...)}
	list := testpki.Must(asn1.Marshal(parts))
	affordable(t, func() {
		v := newValidator(t, Config{Revocation: certs.RevocationRequire, CRLs: [][]byte{testpki.Must(root.CRL(testpki.CRL{}))}}, root)
		got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: hints, CRLs: [][]byte{list, list, list}})
		if got.Reason != certs.NoRevocationInfo {
			t.Errorf("%s: %s", got.Reason, got.Detail)
		}
	})
}
