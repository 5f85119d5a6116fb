package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
)

// The sizes of RSA keys that are used, in bits. Larger ones cost seconds
// (RFC 8551 section 4), smaller ones are broken.
const (
	minRSA     = 2048
	minRSAWeak = 1024 // with AllowWeak
	maxRSA     = 8192
)

// PublicKey returns the public key of a certificate, also those of which x509
// parses the certificate but not the key: X25519 (*ecdh.PublicKey), RSASSA-PSS
// (*rsa.PublicKey) and ML-KEM (*mlkem.EncapsulationKey768 or 1024).
func PublicKey(cert *x509.Certificate) (crypto.PublicKey, error) {
	key, _, err := publicKey(cert)
	return key, err
}

// publicKey is PublicKey, and pss holds the parameters that an id-RSASSA-PSS
// key is restricted to (RFC 4055 section 1.2), which is nil for all others.
func publicKey(cert *x509.Certificate) (key crypto.PublicKey, pss *algorithm, err error) {
	if cert.PublicKey != nil {
		return cert.PublicKey, nil, nil
	}
	c := newCursor(cert.RawSubjectPublicKeyInfo)
	c.enter(tagSequence)
	alg := c.algorithm()
	bits := c.primitive(tagBitString)
	c.leave()
	if c.err == nil && (len(bits) == 0 || bits[0] != 0) {
		c.fail("bad bit string")
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	switch string(alg.oid) {
	case oidPSS:
		key, err = rsaKey(bits[1:])
		return key, &alg, err
	case oidX25519:
		key, err = ecdh.X25519().NewPublicKey(bits[1:])
	case oidMLKEM768:
		key, err = mlkem.NewEncapsulationKey768(bits[1:])
	case oidMLKEM1024:
		key, err = mlkem.NewEncapsulationKey1024(bits[1:])
	case oidMLKEM512:
		return nil, nil, unsupported("public key of ML-KEM-512")
	default:
		return nil, nil, unsupported("public key algorithm %v", alg)
	}
	if err != nil {
		return nil, nil, malformed("public key: %v", err)
	}
	return key, nil, nil
}

// rsaKey parses RSAPublicKey (RFC 8017 appendix A.1.1).
func rsaKey(der []byte) (*rsa.PublicKey, error) {
	c := newCursor(der)
	c.enter(tagSequence)
	n := c.primitive(tagInteger)
	e := c.small()
	c.leave()
	if c.err == nil && (len(n) == 0 || n[0]&0x80 != 0) {
		c.fail("modulus is not positive")
	}
	if c.err == nil && len(n) > maxRSA/8+1 {
		return nil, weak("RSA key of more than %d bits", maxRSA)
	}
	if c.err != nil {
		return nil, c.err
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: e}, nil
}

// CheckKey says whether a public key may be used at all: RSA from 2048 to 8192
// bits with an odd exponent from 3 to 2^31-1, the NIST curves P-256, P-384 and
// P-521, Ed25519, X25519, ML-KEM-768 and ML-KEM-1024. The error is ErrWeak or
// ErrUnsupported.
func CheckKey(pub crypto.PublicKey) error { return checkKey(pub, minRSA) }

// checkKey is CheckKey with another lower bound for RSA.
func checkKey(pub crypto.PublicKey, minBits int) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minBits || n > maxRSA {
			return weak("RSA key of %d bits", n)
		}
		if k.E < 3 || k.E&1 == 0 || k.E > 1<<31-1 {
			return weak("RSA exponent %d", k.E)
		}
		return nil
	case *ecdsa.PublicKey:
		switch name := k.Params().Name; name {
		case "P-256", "P-384", "P-521":
			return nil
		default:
			return unsupported("curve %s", name)
		}
	case *ecdh.PublicKey, ed25519.PublicKey, *mlkem.EncapsulationKey768, *mlkem.EncapsulationKey1024:
		return nil
	}
	return unsupported("public key %T", pub)
}

// minRSABits is the lower bound that an options flag chooses.
func minRSABits(allowWeak bool) int {
	if allowWeak {
		return minRSAWeak
	}
	return minRSA
}
