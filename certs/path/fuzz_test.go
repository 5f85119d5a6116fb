package path

import (
	"bytes"
	"context"
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// FuzzCheck changes a certificate at will, and holds that none that differs from
// what was issued is ever passed, as end entity or as authority.
func FuzzCheck(f *testing.F) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub", PermittedEmails: []string{"x.org"}}))
	id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}, CRLs: []string{"http://x.example/crl"}}))
	f.Add(id.Certificate.Raw)
	f.Add(sub.Certificate.Raw)
	crl := testpki.Must(sub.CRL(testpki.CRL{}))
	v, err := NewValidator(Config{Anchors: []*x509.Certificate{root.Root}, CRLs: [][]byte{testpki.Must(root.CRL(testpki.CRL{}))}})
	if err != nil {
		f.Fatal(err)
	}
	issued := [][]byte{id.Certificate.Raw, sub.Certificate.Raw, root.Root.Raw}
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := pkix.ParseCertificate(der)
		if err != nil {
			return
		}
		r := certs.Request{Purpose: certs.ForSigning, Intermediates: []*x509.Certificate{cert, sub.Certificate}, CRLs: [][]byte{crl, der}}
		genuine := false
		for _, i := range issued {
			genuine = genuine || bytes.Equal(i, der)
		}
		if got := v.Check(context.Background(), cert, r); got.Result == certs.Pass && !genuine {
			t.Errorf("passed: %+v", got)
		}
		v.paths = newMemory()
		if got := v.Check(context.Background(), id.Certificate, r); got.Result != certs.Pass {
			t.Errorf("a hint has spoiled the path: %s %s", got.Reason, got.Detail)
		}
	})
}
