package certs

import (
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pki"
	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signatureAlgorithm returns the algorithm of c's signature. That the one inside
// the signed part is the same was checked when c was parsed.
func signatureAlgorithm(c *x509.Certificate) (pki.Algorithm, *problem) {
	s := cryptobyte.String(c.Raw)
	var seq, alg cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.SkipASN1(cryptobyte_asn1.SEQUENCE) ||
		!seq.ReadASN1Element(&alg, cryptobyte_asn1.SEQUENCE) {
		return pki.Algorithm{}, refuse(Malformed, c, "its signature algorithm cannot be read")
	}
	a, id, ok := pki.ReadAlgorithm(alg)
	if !ok {
		return a, refuse(UnsupportedSigning, c, "its signature algorithm %s is not supported", id)
	}
	return a, nil
}

// checkSignature reports whether child bears the signature of issuer.
func checkSignature(child, issuer *node) *problem {
	if child.problem != nil {
		return child.problem
	}
	if issuer.key == nil {
		return refuse(UnsupportedKey, issuer.Certificate, "its kind of key, %s, is not supported", pki.KeyName(issuer.Certificate))
	}
	if !child.algorithm.Verify(issuer.key, child.RawTBSCertificate, child.Signature) {
		return refuse(BadSignature, child.Certificate, "its signature is not that of %q", nameOf(child.Issuer))
	}
	return nil
}
