package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A scheme is a signature algorithm with its parameters.
type scheme struct {
	name string      // "rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519"
	hash crypto.Hash // 0: whatever the digest algorithm says
	pss  pkix.PSS
}

// The names of the signature schemes.
const (
	schemePKCS1   = "rsa-pkcs1"
	schemePSS     = "rsa-pss"
	schemeECDSA   = "ecdsa"
	schemeEd25519 = "ed25519"
)

// schemeOf reads a signatureAlgorithm. It must agree with the digest algorithm
// of the signer (RFC 4056 section 3, RFC 5754 section 3, RFC 8419 section 3).
func schemeOf(a algorithm, digest crypto.Hash) (s scheme, err error) {
	switch string(a.oid) {
	case oidRSA:
		s = scheme{name: schemePKCS1}
	case oidSHA1RSA:
		s = scheme{name: schemePKCS1, hash: crypto.SHA1}
	case oidMD5RSA:
		s = scheme{name: schemePKCS1, hash: crypto.MD5}
	case oidSHA224RSA:
		s = scheme{name: schemePKCS1, hash: crypto.SHA224}
	case oidSHA256RSA:
		s = scheme{name: schemePKCS1, hash: crypto.SHA256}
	case oidSHA384RSA:
		s = scheme{name: schemePKCS1, hash: crypto.SHA384}
	case oidSHA512RSA:
		s = scheme{name: schemePKCS1, hash: crypto.SHA512}
	case oidPSS:
		if s, err = pssOf(a.params); err != nil {
			return s, err
		}
	case oidECPublicKey: // written by some instead of ecdsa-with-SHA*
		s = scheme{name: schemeECDSA}
	case oidECDSASHA1:
		s = scheme{name: schemeECDSA, hash: crypto.SHA1}
	case oidECDSASHA224:
		s = scheme{name: schemeECDSA, hash: crypto.SHA224}
	case oidECDSASHA256:
		s = scheme{name: schemeECDSA, hash: crypto.SHA256}
	case oidECDSASHA384:
		s = scheme{name: schemeECDSA, hash: crypto.SHA384}
	case oidECDSASHA512:
		s = scheme{name: schemeECDSA, hash: crypto.SHA512}
	case oidEd25519:
		s = scheme{name: schemeEd25519, hash: crypto.SHA512}
	default:
		return s, unsupported("signature algorithm %v", a)
	}
	if s.hash == 0 {
		s.hash = digest
	}
	if s.hash != digest {
		return s, malformed("signature algorithm %v with digest %s", a, DigestName(digest))
	}
	return s, nil
}

// verify checks the signature over message with key.
func (s scheme) verify(key crypto.PublicKey, pss *algorithm, message, sig []byte) error {
	if s.name == schemeEd25519 {
		k, ok := key.(ed25519.PublicKey)
		if !ok || !ed25519.Verify(k, message, sig) {
			return ErrSignature
		}
		return nil
	}
	digest := sum(s.hash, message)
	switch k := key.(type) {
	case *rsa.PublicKey:
		return s.verifyRSA(k, pss, digest, sig)
	case *ecdsa.PublicKey:
		if s.name == schemeECDSA && ecdsa.VerifyASN1(k, digest, sig) {
			return nil
		}
	case *pkix.BrainpoolKey:
		if s.name == schemeECDSA && k.Verify(digest, sig) {
			return nil
		}
	}
	return ErrSignature
}

func (s scheme) verifyRSA(key *rsa.PublicKey, pss *algorithm, digest, sig []byte) error {
	switch {
	case s.name == schemePKCS1 && pss == nil:
		if pkix.VerifyPKCS1(key, s.hash, digest, sig) {
			return nil
		}
	case s.name == schemePSS && s.permitted(pss):
		if s.pss.Verify(key, digest, sig) {
			return nil
		}
	}
	return ErrSignature
}

// permitted reports whether the parameters in an id-RSASSA-PSS key allow s:
// the same digests, and a salt not shorter (RFC 4055 section 3.1).
func (s scheme) permitted(pss *algorithm) bool {
	if pss == nil || pss.params == nil {
		return true
	}
	limit, err := pssOf(pss.params)
	return err == nil && s.pss.Within(limit.pss)
}

// sum hashes b.
func sum(h crypto.Hash, b []byte) []byte {
	s := h.New()
	s.Write(b)
	return s.Sum(nil)
}
