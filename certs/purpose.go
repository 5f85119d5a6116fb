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
	case *rsa.PublicKey, *ecdsa.PublicKey, *pkix.BrainpoolKey, ed25519.PublicKey, pkix.PSSKey, *pkix.MLDSAKey, *pkix.SLHDSAKey:
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
	if p := pkix.CheckEncryptionKey(pkix.PublicKey(c)); p != nil {
		return Refuse(KeyReason(p.Weak, p.NotApproved), c, "%v", p)
	}
	return nil
}

// KeyReason is why a key is refused: as too weak, as one that is not approved, or as
// one of an unsupported kind.
func KeyReason(weak, notApproved bool) Reason {
	switch {
	case weak:
		return WeakKey
	case notApproved:
		return NotApproved
	}
	return UnsupportedKey
}
