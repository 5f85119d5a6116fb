package describe

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// KeyKind names algorithm and size of the key.
func KeyKind(c *x509.Certificate) string {
	switch k := pkix.PublicKey(c).(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", k.N.BitLen())
	case pkix.PSSKey:
		return fmt.Sprintf("RSA for PSS only, %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC, " + k.Curve.Params().Name
	case *pkix.BrainpoolKey:
		return "EC, " + k.Curve()
	case *ecdh.PublicKey:
		return "X25519"
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return pkix.KeyName(c)
}

// KeyUsages names the bits of RFC 5280 section 4.2.1.3.
func KeyUsages(c *x509.Certificate) []string {
	out := []string{}
	for i, word := range []string{
		"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
		"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if c.KeyUsage&(1<<i) != 0 {
			out = append(out, word)
		}
	}
	return out
}

// ExtKeyUsages names those of RFC 5280 section 4.2.1.12 that mail has to do with;
// others are object identifiers or their numbers in crypto/x509.
func ExtKeyUsages(c *x509.Certificate) []string {
	words := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny: "anyExtendedKeyUsage", x509.ExtKeyUsageEmailProtection: "emailProtection",
		x509.ExtKeyUsageClientAuth: "clientAuth", x509.ExtKeyUsageServerAuth: "serverAuth",
		x509.ExtKeyUsageCodeSigning: "codeSigning", x509.ExtKeyUsageTimeStamping: "timeStamping",
		x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
	}
	out := []string{}
	for _, u := range c.ExtKeyUsage {
		word, ok := words[u]
		if !ok {
			word = fmt.Sprintf("another (%d)", u)
		}
		out = append(out, word)
	}
	for _, id := range c.UnknownExtKeyUsage {
		out = append(out, id.String())
	}
	return out
}
