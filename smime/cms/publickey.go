package cms

import (
	"crypto"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// PublicKey returns the public key of a certificate, also those that x509 does not
// know: X25519 (*ecdh.PublicKey), RSASSA-PSS (*rsa.PublicKey), ML-DSA
// (*mldsa.PublicKey), ML-KEM (a crypto.Encapsulator), and brainpool curves.
func PublicKey(cert *x509.Certificate) (crypto.PublicKey, error) {
	key, err := publicKey(cert)
	if pss, ok := key.(pkix.PSSKey); ok {
		return pss.PublicKey, nil
	}
	return key, err
}

// publicKey is PublicKey, and an RSA key for RSASSA-PSS alone is a pkix.PSSKey.
func publicKey(cert *x509.Certificate) (crypto.PublicKey, error) {
	key := pkix.PublicKey(cert)
	if key == nil {
		return nil, unsupported("public key of this kind: %s", pkix.KeyName(cert))
	}
	return key, nil
}

// checkKey says whether signatures by a public key are verified, with RSA keys from
// minBits. The error is ErrWeak, ErrNotApproved or
// ErrUnsupported.
func checkKey(pub crypto.PublicKey, minBits int) error {
	return keyError(pkix.CheckKey(pub, minBits))
}

// keyError gives a judgement its kind.
func keyError(p *pkix.KeyProblem) error {
	switch {
	case p == nil:
		return nil
	case p.Weak:
		return weak("%v", p)
	case p.NotApproved:
		return kindError(ErrNotApproved, "%v", []any{p})
	}
	return unsupported("%v", p)
}

// minRSABits is the lower bound that an options flag chooses.
func minRSABits(allowWeak bool) int {
	if allowWeak {
		return pkix.MinRSAArchive
	}
	return pkix.MinRSA
}
