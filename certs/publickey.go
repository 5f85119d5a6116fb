package certs

import (
	"crypto"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pki"
)

// checkKey judges the key of c for verification.
func (v *Validator) checkKey(c *x509.Certificate, key crypto.PublicKey) *problem {
	if key == nil {
		return refuse(UnsupportedKey, c, "its kind of key, %s, is not supported", pki.KeyName(c))
	}
	low := pki.MinRSA
	if v.cfg.AllowRSA1024 {
		low = pki.MinRSAArchive
	}
	return keyProblem(c, pki.CheckKey(key, low))
}

// checkEncryptionKey judges whether mail can be encrypted to c, by the judgement
// that encryption goes by.
func checkEncryptionKey(c *x509.Certificate) *problem {
	return keyProblem(c, pki.CheckEncryptionKey(pki.PublicKey(c)))
}

func keyProblem(c *x509.Certificate, p *pki.KeyProblem) *problem {
	switch {
	case p == nil:
		return nil
	case p.Weak:
		return refuse(WeakKey, c, "%v", p)
	}
	return refuse(UnsupportedKey, c, "%v", p)
}
