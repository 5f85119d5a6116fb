package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// AllowsMail reports whether the extended key usage, where there is one,
// contains emailProtection or anyExtendedKeyUsage.
func AllowsMail(c *x509.Certificate) bool {
	return !present(Extension(c, oidExtKeyUsage)) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// AllowsUse reports whether the key usage, where there is one, has one of the bits.
// One without any bit allows nothing.
func AllowsUse(c *x509.Certificate, bits x509.KeyUsage) bool {
	return c.KeyUsage&bits != 0 || c.KeyUsage == 0 && !present(Extension(c, oidKeyUsage))
}

// Extension returns the value of the first extension with the identifier, and
// whether there is one.
func Extension(c *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value, true
		}
	}
	return nil, false
}

func present(_ []byte, ok bool) bool { return ok }
