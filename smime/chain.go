package smime

import (
	"bytes"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// sent returns the certificates that a signature of id brings besides that of the
// signer: its chain without self-issued authorities, as those who trust one have it (RFC
// 8550 section 2.3), and of roots the one above it.
func sent(id *certs.Identity, roots []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range id.Chain {
		if !c.IsCA || !selfIssued(c) {
			out = append(out, c)
		}
	}
	if root := rootOf(id.Certificate, out, roots); root != nil {
		out = append(out, root)
	}
	return out
}

// rootOf returns the certificate among roots that a chain leads to, nil if there is none.
func rootOf(c *x509.Certificate, chain, roots []*x509.Certificate) *x509.Certificate {
	if len(roots) == 0 {
		return nil // without a look at the signatures of the chain
	}
	for range len(chain) + 1 {
		if root := issuerOf(c, roots); root != nil {
			return root
		}
		if c = issuerOf(c, chain); c == nil {
			return nil
		}
	}
	return nil
}

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, issuer := range among {
		if bytes.Equal(issuer.RawSubject, c.RawIssuer) && pkix.SignedBy(c, issuer, true) {
			return issuer
		}
	}
	return nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }
