package certs

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// CheckPurpose judges key usage (RFC 8550 section 4.4.2) and extended key usage
// (section 4.4.4) of an end entity's certificate, and whether its kind of key can
// serve at all.
func CheckPurpose(c *x509.Certificate, p Purpose) *Problem {
	if !pkix.AllowsMail(c) {
		return Refuse(WrongPurpose, c, "its extended key usage does not include emailProtection")
	}
	switch p {
	case ForSigning:
		return checkSigningUse(c)
	case ForEncryption:
		return checkEncryptionUse(c)
	}
	return Refuse(WrongPurpose, c, "purpose %q is not known", p)
}

func checkSigningUse(c *x509.Certificate) *Problem {
	switch pkix.PublicKey(c).(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, *pkix.BrainpoolKey, ed25519.PublicKey, pkix.PSSKey, *pkix.MLDSAKey:
	default:
		return Refuse(WrongPurpose, c, "its key cannot sign")
	}
	if !pkix.AllowsUse(c, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) {
		return Refuse(WrongPurpose, c, "its key usage does not allow signatures")
	}
	return nil
}

func checkEncryptionUse(c *x509.Certificate) *Problem {
	need, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch pkix.PublicKey(c).(type) {
	case *rsa.PublicKey, *pkix.KEMKey:
	case *ecdsa.PublicKey, *ecdh.PublicKey, *pkix.BrainpoolKey:
		need, name = x509.KeyUsageKeyAgreement, "keyAgreement"
	default:
		return Refuse(WrongPurpose, c, "its key cannot encrypt")
	}
	if !pkix.AllowsUse(c, need) {
		return Refuse(WrongPurpose, c, "its key usage lacks %s", name)
	}
	return checkEncryptionKey(c)
}

// checkEncryptionKey judges whether mail can be encrypted to c, by the judgement
// that encryption goes by.
func checkEncryptionKey(c *x509.Certificate) *Problem {
	return RefuseKey(c, pkix.CheckEncryptionKey(pkix.PublicKey(c)))
}

// RefuseKey makes a Problem of what is wrong with the key of c, nil of nothing.
func RefuseKey(c *x509.Certificate, p *pkix.KeyProblem) *Problem {
	switch {
	case p == nil:
		return nil
	case p.Weak:
		return Refuse(WeakKey, c, "%v", p)
	case p.NotApproved:
		return Refuse(NotApproved, c, "%v", p)
	}
	return Refuse(UnsupportedKey, c, "%v", p)
}
