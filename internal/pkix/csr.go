package pkix

import (
	"crypto/x509"
	"fmt"
)

// CheckRequest verifies that a certification request is signed by its key (RFC 2986 section
// 3). A key that is too large is refused first: a stranger's could keep a processor busy.
func CheckRequest(r *x509.CertificateRequest) error {
	if k := RSAKey(r.PublicKey); k != nil && k.N.BitLen() > MaxRSA {
		return fmt.Errorf("an RSA key over %d bits is not used", MaxRSA)
	}
	return r.CheckSignature()
}
