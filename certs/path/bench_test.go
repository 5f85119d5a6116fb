package path

import (
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// benchChain is a chain of three with a revocation list for every authority.
type benchChain struct {
	id       *testpki.Identity
	root     *testpki.CA
	crls     [][]byte
	question certs.Request
}

func newBenchChain(b *testing.B, key string) benchChain {
	b.Helper()
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root", Key: key}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub", Key: key}))
	id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: key}))
	addr, err := address.Parse("alice@example.org")
	if err != nil {
		b.Fatal(err)
	}
	return benchChain{id: id, root: root,
		crls:     [][]byte{testpki.Must(root.CRL(testpki.CRL{})), testpki.Must(sub.CRL(testpki.CRL{}))},
		question: certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{addr}, Intermediates: id.Chain},
	}
}

// BenchmarkChain judges a chain of three for the first time, by crypto/x509 and by us with
// revocation known, and then remembered.
func BenchmarkChain(b *testing.B) {
	for _, key := range []string{"rsa2048", "rsa3072", "p256"} {
		c := newBenchChain(b, key)
		b.Run("x509/"+key, func(b *testing.B) {
			roots, inter := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(c.root.Root)
			inter.AddCert(c.id.Chain[0])
			o := x509.VerifyOptions{Roots: roots, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}
			for b.Loop() {
				if _, err := c.id.Certificate.Verify(o); err != nil {
					b.Fatal(err)
				}
			}
		})
		v, err := NewValidator(Config{Anchors: []*x509.Certificate{c.root.Root}, CRLs: c.crls})
		if err != nil {
			b.Fatal(err)
		}
		for name, forget := range map[string]bool{"fresh/": true, "remembered/": false} {
			b.Run(name+key, func(b *testing.B) {
				for b.Loop() {
					if forget {
						v.paths = newMemory()
					}
					if d := v.Check(b.Context(), c.id.Certificate, c.question); d.Result != certs.Pass || d.Revocation != "good" {
						b.Fatalf("%+v", d)
					}
				}
			})
		}
	}
}
