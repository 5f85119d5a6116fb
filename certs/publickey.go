package certs

import (
	"crypto"
	"crypto/x509"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// checkKey judges the key of c for verification.
func (v *Validator) checkKey(c *x509.Certificate, key crypto.PublicKey) *problem {
	if key == nil {
		return refuse(UnsupportedKey, c, "its kind of key, %s, is not supported", pkix.KeyName(c))
	}
	low := pkix.MinRSA
	if v.cfg.AllowRSA1024 {
		low = pkix.MinRSAArchive
	}
	return keyProblem(c, pkix.CheckKey(key, low))
}

// checkEncryptionKey judges whether mail can be encrypted to c, by the judgement
// that encryption goes by.
func checkEncryptionKey(c *x509.Certificate) *problem {
	return keyProblem(c, pkix.CheckEncryptionKey(pkix.PublicKey(c)))
}

func keyProblem(c *x509.Certificate, p *pkix.KeyProblem) *problem {
	switch {
	case p == nil:
		return nil
	case p.Weak:
		return refuse(WeakKey, c, "%v", p)
	}
	return refuse(UnsupportedKey, c, "%v", p)
}
