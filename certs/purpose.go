package certs

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/internal/pki"
)

// checkPurpose judges key usage (RFC 8550 section 4.4.2) and extended key usage
// (section 4.4.4) of an end entity's certificate, and whether its kind of key can
// serve at all.
func checkPurpose(c *x509.Certificate, p Purpose) *problem {
	if !mailAllowed(c) {
		return refuse(WrongPurpose, c, "its extended key usage does not allow mail protection")
	}
	switch p {
	case ForSigning:
		return checkSigningUse(c)
	case ForEncryption:
		return checkEncryptionUse(c)
	}
	return refuse(WrongPurpose, c, "purpose %q is not known", p)
}

// mailAllowed reports whether the extended key usage, where there is one,
// contains emailProtection or anyExtendedKeyUsage.
func mailAllowed(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func checkSigningUse(c *x509.Certificate) *problem {
	switch pki.PublicKey(c).(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, pki.PSSKey:
	default:
		return refuse(WrongPurpose, c, "its key cannot sign")
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return refuse(WrongPurpose, c, "its key usage does not allow signatures")
	}
	return nil
}

func checkEncryptionUse(c *x509.Certificate) *problem {
	need, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch pki.PublicKey(c).(type) {
	case *rsa.PublicKey, *mlkem.EncapsulationKey768, *mlkem.EncapsulationKey1024:
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		need, name = x509.KeyUsageKeyAgreement, "keyAgreement"
	default:
		return refuse(WrongPurpose, c, "its key cannot encrypt")
	}
	if c.KeyUsage != 0 && c.KeyUsage&need == 0 {
		return refuse(WrongPurpose, c, "its key usage lacks %s", name)
	}
	return nil
}
