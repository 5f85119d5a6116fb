package token

import (
	"bytes"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// maxChain is how many intermediates lead from a certificate to its anchor.
const maxChain = 8

// chain finds the intermediates above a certificate among others.
func chain(cert *x509.Certificate, among []*x509.Certificate) []*x509.Certificate {
	var up []*x509.Certificate
	for c := cert; len(up) < maxChain; {
		issuer := issuerOf(c, among)
		if issuer == nil || bytes.Equal(issuer.RawIssuer, issuer.RawSubject) {
			return up
		}
		up, c = append(up, issuer), issuer
	}
	return up
}

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, issuer := range among {
		if bytes.Equal(issuer.RawSubject, c.RawIssuer) && pkix.SignedBy(c, issuer, true) {
			return issuer
		}
	}
	return nil
}
