package path

import (
	"crypto/x509"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// signatureAlgorithm returns the algorithm of c's signature.
func signatureAlgorithm(c *x509.Certificate) (pkix.Algorithm, *certs.Problem) {
	a, id, ok := pkix.SignatureAlgorithm(c)
	if !ok {
		return a, certs.Refuse(certs.UnsupportedSigning, c, "its signature algorithm %s is not supported", id)
	}
	if !a.Approved() {
		return a, certs.Refuse(certs.NotApproved, c, "it is signed with %s: %s", a.Digest(), pkix.NotApproved)
	}
	return a, nil
}

// checkSignature reports whether child bears the signature of issuer.
func checkSignature(child, issuer *node) *certs.Problem {
	if child.problem != nil {
		return child.problem
	}
	if issuer.key == nil {
		return certs.Refuse(certs.UnsupportedKey, issuer.Certificate, "its kind of key, %s, is not supported", pkix.KeyName(issuer.Certificate))
	}
	if !child.algorithm.Verify(issuer.key, child.RawTBSCertificate, child.Signature) {
		return certs.Refuse(certs.BadSignature, child.Certificate, "its signature is not that of %q", pkix.IssuerLabel(child.Certificate))
	}
	return nil
}
