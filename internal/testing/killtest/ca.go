package killtest

import (
	"crypto/x509"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// CA certifies keys for Address, and counts.
type CA struct {
	*testpki.CA
	// Forgets: a key that comes again is certified again.
	Forgets bool

	mu     sync.Mutex
	byKey  map[string]*x509.Certificate
	issued int
}

// NewCA returns one.
func NewCA() *CA {
	return &CA{CA: testpki.Must(testpki.NewCA(testpki.Options{})), byKey: map[string]*x509.Certificate{}}
}

// Certify returns a certificate of the key of a request.
func (c *CA) Certify(csr *x509.CertificateRequest) (*x509.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := string(csr.RawSubjectPublicKeyInfo)
	if known := c.byKey[key]; known != nil && !c.Forgets {
		return known, nil
	}
	kind := "p256"
	if csr.PublicKeyAlgorithm == x509.RSA {
		kind = "rsa2048"
	}
	id, err := c.Issue(testpki.Leaf{Addresses: []string{Address}, Key: kind, PublicKeyInfo: csr.RawSubjectPublicKeyInfo})
	if err != nil {
		return nil, err
	}
	c.issued++
	c.byKey[key] = id.Certificate
	return id.Certificate, nil
}

// Identity makes a key, and certifies it.
func (c *CA) Identity() (*certs.Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, err := c.Issue(testpki.Leaf{Addresses: []string{Address}})
	c.issued++
	return (*certs.Identity)(id), err
}

// Issued is how many certificates it has issued.
func (c *CA) Issued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.issued
}

// Expect is what a test knows of its CA.
type Expect struct {
	// Again: it issues again for a request that it carried out, if the gateway does not have the
	// certificate. Otherwise it issues once.
	Again bool
	// OtherKeys: it makes the keys, so that that of the order is not used.
	OtherKeys bool
}

// Run kills a gateway over one order of a certificate, has another one go on, and checks what
// became of the order, and how many certificates were issued.
func (c *CA) Run(t *testing.T, d *Death, settings string, e Expect) {
	t.Helper()
	d.Kill(t, settings)
	before, left := c.Issued(), d.Orders(t)
	d.Resume(t, settings)
	d.Check(t, left, Result{Orders: 1, Origin: store.Imported, OtherKeys: e.OtherKeys})
	want := 1
	if e.Again && !arrived(left) {
		want = before + 1
	}
	if got := c.Issued(); got != want || before > 1 {
		t.Errorf("%s: %d certificates were issued, %d of them before the death", d.Name, got, before)
	}
}

// arrived reports whether the certificate of an order is in the store.
func arrived(orders []store.Order) bool {
	return len(orders) == 1 && (orders[0].State == store.OrderAnswered || orders[0].State == store.OrderDone)
}
