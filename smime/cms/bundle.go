package cms

import "crypto/x509"

// maxBundled caps the certificates of a bundle. The largest collections of trust
// anchors in use have a few hundred.
const maxBundled = 50_000

// ParseBundle reads the certificates of a certs-only SignedData, as in .p7b and
// .p7c (RFC 8551 section 3.8), or of any other, in BER or DER. What could not be
// read is nil in the list, with the reason at the same place of problems.
func ParseBundle(ber []byte) (list []*x509.Certificate, problems []error, err error) {
	_, err = parseSignedData(ber, func(der []byte) (*x509.Certificate, error) {
		cert, err := parseCertificate(der)
		list, problems = append(list, cert), append(problems, err)
		return cert, err
	}, maxBundled)
	if err != nil {
		return nil, nil, err
	}
	return list, problems, nil
}
