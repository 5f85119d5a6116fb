package smime

import (
	"crypto/x509"
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// A signature brings the intermediates of its chain, and of the trust anchors the root of
// this chain where that is asked for: no other, and none that has only its name.
func TestChainWithRoot(t *testing.T) {
	w := newWorld(t)
	middle := testpki.Must(w.ca.Intermediate(testpki.Options{Name: "Issuing CA"}))
	leaf := testpki.Must(middle.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	namesake := testpki.Must(testpki.NewCA(testpki.Options{})).Root // the same name, another key
	other := testpki.Must(testpki.NewCA(testpki.Options{Name: "Other root"})).Root
	chain := middle.Chain
	for name, tc := range map[string]struct {
		chain, roots []*x509.Certificate
		root         bool
	}{
		"by default":          {chain, nil, false},
		"root in the chain":   {append(slices.Clone(chain), w.ca.Root), nil, false},
		"asked for":           {chain, []*x509.Certificate{other, namesake, w.ca.Root}, true},
		"and in the chain":    {append(slices.Clone(chain), w.ca.Root), []*x509.Certificate{w.ca.Root}, true},
		"not an anchor":       {chain, []*x509.Certificate{other, namesake}, false},
		"the chain is broken": {nil, []*x509.Certificate{w.ca.Root}, false},
	} {
		for _, opaque := range []bool{false, true} {
			id := &certs.Identity{Certificate: leaf.Certificate, Chain: tc.chain, Key: leaf.Key}
			m := w.sign(t, mail(t, text), id, SignOptions{Roots: tc.roots, Opaque: opaque})
			part := m.Root()
			if !opaque {
				part = part.Children[1]
			}
			got := testpki.Must(cms.ParseSignedData(testpki.Must(part.Decode()))).Certificates
			want := 1
			for _, c := range tc.chain {
				if !c.Equal(w.ca.Root) {
					want++
				}
			}
			if tc.root {
				want++
			}
			if has := slices.ContainsFunc(got, w.ca.Root.Equal); has != tc.root || len(got) != want {
				t.Errorf("%s: %d certificates, want %d; the root is there: %v", name, len(got), want, has)
			}
		}
	}
}
