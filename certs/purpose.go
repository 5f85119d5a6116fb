package certs

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"slices"
)

var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
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
	return !hasExtension(c, oidExtKeyUsage) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// usable reports whether the key usage, where there is one, has one of the bits.
// One without any bit allows nothing.
func usable(c *x509.Certificate, bits x509.KeyUsage) bool {
	return c.KeyUsage&bits != 0 || c.KeyUsage == 0 && !hasExtension(c, oidKeyUsage)
}

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.Extensions, isExtension(id))
}

func checkSigningUse(c *x509.Certificate) *problem {
	switch pkix.PublicKey(c).(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, *pkix.BrainpoolKey, ed25519.PublicKey, pkix.PSSKey:
	default:
		return refuse(WrongPurpose, c, "its key cannot sign")
	}
	if !usable(c, x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) {
		return refuse(WrongPurpose, c, "its key usage does not allow signatures")
	}
	return nil
}

func checkEncryptionUse(c *x509.Certificate) *problem {
	need, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch pkix.PublicKey(c).(type) {
	case *rsa.PublicKey, *mlkem.EncapsulationKey768, *mlkem.EncapsulationKey1024:
	case *ecdsa.PublicKey, *ecdh.PublicKey, *pkix.BrainpoolKey:
		need, name = x509.KeyUsageKeyAgreement, "keyAgreement"
	default:
		return refuse(WrongPurpose, c, "its key cannot encrypt")
	}
	if !usable(c, need) {
		return refuse(WrongPurpose, c, "its key usage lacks %s", name)
	}
	return checkEncryptionKey(c)
}
