package cms

import (
	"crypto"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// signatureAlgorithm reads a signatureAlgorithm. It must agree with the digest
// algorithm of the signer (RFC 4056 section 3, RFC 5754 section 3, RFC 8419 section 3,
// RFC 9882 section 3.3).
func signatureAlgorithm(a algorithm, digest crypto.Hash) (s pkix.Algorithm, err error) {
	switch string(a.oid) {
	case oidRSA: // RFC 3370 section 3.2
		if shakes(digest) {
			return s, unsupported("PKCS #1 v1.5 with digest %s", DigestName(digest))
		}
		return pkix.WithDigest(pkix.PKCS1Scheme, digest), nil
	case oidECPublicKey: // written by some instead of ecdsa-with-SHA*
		return pkix.WithDigest(pkix.ECDSAScheme, digest), nil
	}
	der, err := a.der()
	if err != nil {
		return s, err
	}
	s, _, ok := pkix.ReadAlgorithm(der)
	if !ok {
		return s, unsupported("signature algorithm %v, or its parameters", a)
	}
	if !s.Approved() {
		return s, notApproved("signature algorithm " + a.String() + ", or its parameters")
	}
	if !s.AllowsDigest(digest) {
		return s, malformed("signature algorithm %v with digest %s", a, DigestName(digest))
	}
	return s, nil
}

// der returns a in DER.
func (a algorithm) der() ([]byte, error) {
	b := make(builder, 0, 80)
	m := b.open(tagSequence)
	b.tlv(tagOID, a.oid)
	if a.params != nil {
		params, err := DER(a.params)
		if err != nil {
			return nil, err
		}
		b.raw(params)
	}
	b.close(m)
	return b, nil
}

// shakes reports a digest that only RSASSA-PSS and ECDSA have a signature with (RFC 8702).
func shakes(h crypto.Hash) bool { return h == pkix.SHAKE128 || h == pkix.SHAKE256 }

// sum hashes b.
func sum(h crypto.Hash, b []byte) []byte {
	s := pkix.NewHash(h)
	s.Write(b)
	return s.Sum(nil)
}
