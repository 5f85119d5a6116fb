package directory

import (
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// parseValue reads a certificate, or a SignedData with certificates and, if its
// owner signed it, with claims (RFC 2798 section 2.8). The problems are what
// could not be read; all else counts.
func parseValue(der []byte) (Finding, []error) {
	c, err := pkix.ParseCertificate(der)
	if err == nil {
		return Finding{Certificates: []*x509.Certificate{c}}, nil
	}
	signed, signedErr := cms.ParseSignedData(der)
	if signedErr != nil {
		return Finding{}, []error{err}
	}
	return Finding{Certificates: signed.Certificates, Claims: claimsIn(signed)}, signed.Skipped
}

// claimsIn verifies the signatures and returns what they say. The content has no
// meaning, and may be missing altogether.
func claimsIn(signed *cms.SignedData) []Claim {
	options := cms.VerifyOptions{}
	if signed.Content == nil {
		options.Content = [][]byte{{}}
	}
	var claims []Claim
	for _, s := range signed.Verify(options) {
		if ciphers := s.Capabilities.Ciphers(); s.Err == nil && len(ciphers) > 0 {
			claims = append(claims, Claim{Signer: s.Certificate, Preferred: s.EncryptionID, Ciphers: ciphers})
		}
	}
	return claims
}
