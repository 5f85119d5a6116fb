package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"testing"
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
	v, err := NewValidator(ValidatorConfig{Anchors: []*x509.Certificate{root.Root}, CRLs: [][]byte{testpki.Must(root.CRL(testpki.CRL{}))}})
	if err != nil {
		f.Fatal(err)
	}
	issued := [][]byte{id.Certificate.Raw, sub.Certificate.Raw, root.Root.Raw}
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := pkix.ParseCertificate(der)
		if err != nil {
			return
		}
		r := Request{Purpose: ForSigning, Intermediates: []*x509.Certificate{cert, sub.Certificate}, CRLs: [][]byte{crl, der}}
		genuine := false
		for _, i := range issued {
			genuine = genuine || bytes.Equal(i, der)
		}
		if got := v.Check(context.Background(), cert, r); got.Result == Pass && !genuine {
			t.Errorf("passed: %+v", got)
		}
		v.paths = newMemory()
		if got := v.Check(context.Background(), id.Certificate, r); got.Result != Pass {
			t.Errorf("a hint has spoiled the path: %s %s", got.Reason, got.Detail)
		}
	})
}

// FuzzParseContents holds that whatever a file says, an identity is a key with its
// own certificate, and an error is one line.
func FuzzParseContents(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	for _, kind := range []string{"rsa2048", "p256", "ed25519", "x25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind}))
		f.Add(testpki.Must(id.PEM()))
		f.Add(id.Certificate.Raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("ENCRYPTED")) || isPKCS12(data) {
			return // may ask for seconds of work; package pkcs12 has a target of its own
		}
		c, err := ParseContents(data, "")
		if err != nil {
			if bytes.ContainsAny([]byte(err.Error()), "\r\n") {
				t.Errorf("not one line: %q", err)
			}
			return
		}
		for _, id := range c.Identities {
			if !belongs(id.Key, id.Certificate) || c.Protected {
				t.Error("a key with another's certificate")
			}
		}
	})
}
