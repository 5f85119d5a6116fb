package store

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// What is refused, so that no stranger's certificate costs much whenever it is
// looked at. docs/store.md tells them.
const (
	// maxSize is the most octets of a certificate.
	maxSize = 64 << 10
	// maxAddresses is the most addresses that a certificate may name.
	maxAddresses = 250
	// MaxChain is the most further certificates with one.
	MaxChain = 10
)

// admit refuses what the store does not take, and returns the addresses that c
// names.
func admit(c *x509.Certificate, chain []*x509.Certificate) ([]address.Address, error) {
	for _, c := range append([]*x509.Certificate{c}, chain...) {
		if err := admitOne(c); err != nil {
			return nil, err
		}
	}
	if len(chain) > MaxChain {
		return nil, fmt.Errorf("certificate %s: %d others came with it, over %d", describe(c), len(chain), MaxChain)
	}
	list := certs.Addresses(c)
	if len(list) > maxAddresses {
		return nil, fmt.Errorf("certificate %s: it names %d addresses, over %d", describe(c), len(list), maxAddresses)
	}
	return list, nil
}

func admitOne(c *x509.Certificate) error {
	if c == nil || len(c.Raw) == 0 {
		return errors.New("a certificate without contents")
	}
	if len(c.Raw) > maxSize {
		return fmt.Errorf("certificate %s: %d octets, over %d", describe(c), len(c.Raw), maxSize)
	}
	// Not every key that is kept can be used; the huge ones never can.
	if key := pkix.RSAKey(pkix.PublicKey(c)); key != nil && key.N.BitLen() > pkix.MaxRSA {
		return fmt.Errorf("certificate %s: RSA key of %d bits, over %d", describe(c), key.N.BitLen(), pkix.MaxRSA)
	}
	return nil
}

// maxName is how much of a name that a stranger wrote goes into an error.
const maxName = 100

// describe names a certificate in errors.
func describe(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if len(name) > maxName {
		name = name[:maxName] + "…"
	}
	return fmt.Sprintf("of %q (serial %x)", name, c.SerialNumber.Bytes()[:min(20, len(c.SerialNumber.Bytes()))])
}
