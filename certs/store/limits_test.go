package store

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestHostileCertificates: each gets one line, and nothing is stored, not even
// what came with it.
func TestHostileCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		good := w.identity(1, "good@example.com")
		var many []string
		for i := range 10_000 {
			many = append(many, fmt.Sprintf("a%d@example.com", i))
		}
		few := many[:maxAddresses]
		long := strings.Repeat("x", 3*maxSize)
		hostile := func(l testpki.Leaf) *x509.Certificate { return testpki.Must(w.ca.Issue(l)).Certificate }
		chain := make([]*x509.Certificate, MaxChain+1)
		for i := range chain {
			chain[i] = w.ca.Certificate
		}
		for _, c := range []struct {
			n    New
			want string
		}{
			{New{Certificate: hostile(testpki.Leaf{Name: "big", PublicKeyInfo: hugeKey(16384)})}, `"big" (serial`},
			{New{Certificate: hostile(testpki.Leaf{Name: "big", PublicKeyInfo: hugeKey(16384)})}, "RSA key of 16384 bits, over 8192"},
			{New{Certificate: hostile(testpki.Leaf{Addresses: many})}, "octets, over 65536"},
			{New{Certificate: hostile(testpki.Leaf{Addresses: append(few, "one@more.example")})}, "it names 251 addresses, over 250"},
			{New{Certificate: hostile(testpki.Leaf{Addresses: []string{"a@example.com"}, Name: long})}, "octets, over 65536"},
			{New{Certificate: good.Certificate, Chain: chain}, "11 others came with it, over 10"},
			{New{Certificate: good.Certificate, Chain: []*x509.Certificate{hostile(testpki.Leaf{PublicKeyInfo: hugeKey(8200)})}}, "8200 bits"},
			{New{}, "without contents"},
			{New{Certificate: &x509.Certificate{}}, "without contents"},
			{New{Certificate: good.Certificate, Chain: []*x509.Certificate{nil}}, "without contents"},
		} {
			_, err := w.Put(ctx, Imported, New{Certificate: good.Certificate}, c.n)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
				t.Errorf("%q: %v", c.want, err)
			}
		}
		if n := got[int](w)(w.Count(ctx, Query{})); n != 0 {
			t.Errorf("%d certificates stayed", n)
		}
		if stored := got[Stored](w)(w.Put(ctx, Imported, New{Certificate: hostile(testpki.Leaf{Addresses: few})})); stored.New != 1 {
			t.Error("what is at the limit is refused")
		}
	})
}

// hugeKey is the SubjectPublicKeyInfo of an RSA key of that many bits, which no owner
// has the factors of.
func hugeKey(bits int) []byte {
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	return testpki.Must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537}))
}

// Strange certificates are kept as they are: what they are good for is for others
// to say.
func TestStrangeCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		plain := testpki.Must(w.ca.Issue(testpki.Leaf{Name: "nobody"})).Certificate
		utf8 := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"jürgen@example.com"}})).Certificate
		odd := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"a\x00b@example.com", "\"a b\"@example.com", "b@example.com\n"}})).Certificate
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: plain}, New{Certificate: utf8}, New{Certificate: odd}))
		for text, want := range map[string]*x509.Certificate{"jürgen@example.com": utf8, `"a b"@example.com`: odd} {
			a := addr(text)
			if e := got[[]Entry](w)(w.Find(ctx, Query{Address: &a})); len(e) != 1 || !e[0].Certificate.Equal(want) {
				t.Errorf("%s: %d found", text, len(e))
			}
		}
		e := got[[]Entry](w)(w.Find(ctx, Query{KeyID: pkix.ComputedKeyID(plain)}))
		if len(e) != 1 || len(e[0].Addresses) != 0 || len(certs.Addresses(plain)) != 0 {
			t.Errorf("%d found", len(e))
		}
	})
}
