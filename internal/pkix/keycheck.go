package pkix

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"fmt"
)

// The sizes of RSA keys that are used, in bits. Smaller ones are broken;
// operations with larger ones take so long that a message could keep us busy
// (RFC 8551 section 4).
const (
	MinRSA        = 2048
	MinRSAArchive = 1024 // for what is old, where the configuration allows it
	MaxRSA        = 8192
)

// KeyProblem is why a public key is not used.
type KeyProblem struct {
	// Weak tells a key that protects nothing from one of an unsupported kind.
	Weak bool
	// NotApproved: GODEBUG=fips140=only forbids it.
	NotApproved bool
	text        string
}

// Error says what is wrong with the key.
func (p *KeyProblem) Error() string { return p.text }

func weakKey(format string, args ...any) *KeyProblem {
	return &KeyProblem{Weak: true, text: fmt.Sprintf(format, args...)}
}

func unsupportedKey(format string, args ...any) *KeyProblem {
	return &KeyProblem{text: fmt.Sprintf(format, args...)}
}

// CheckKey judges a public key, as PublicKey returns it: nil where signatures may
// be verified with it. RSA keys have at least minRSA bits. It is the one judgement
// of lookups, of path validation and of the S/MIME engine.
func CheckKey(key crypto.PublicKey, minRSA int) *KeyProblem {
	if p := checkStrength(key, minRSA); p != nil {
		return p
	}
	return approved(key)
}

// checkStrength is CheckKey whether FIPS 140-3 is enforced or not.
func checkStrength(key crypto.PublicKey, minRSA int) *KeyProblem {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA {
			return weakKey("RSA key of %d bits is below %d", n, minRSA)
		}
		return checkRSA(k)
	case PSSKey:
		return checkStrength(k.PublicKey, minRSA)
	case *ecdsa.PublicKey:
		if p := k.Params(); p.BitSize < 256 {
			return weakKey("curve %s is below 256 bits", p.Name)
		}
		return nil
	case *ecdh.PublicKey:
		return checkAgreement(k)
	case ed25519.PublicKey, *BrainpoolKey, *MLDSAKey, *SLHDSAKey, *KEMKey:
		return nil
	}
	return unsupportedKey("its kind of key is not supported")
}

// checkRSA judges an RSA key but for its lower bound.
func checkRSA(k *rsa.PublicKey) *KeyProblem {
	switch n := k.N.BitLen(); {
	case n > MaxRSA:
		return unsupportedKey("RSA key of %d bits is over %d", n, MaxRSA)
	case n < 16 || k.N.Bit(0) == 0:
		return weakKey("the RSA modulus is even")
	case k.E < 3 || k.E&1 == 0:
		return weakKey("RSA exponent %d", k.E)
	}
	return nil
}

// probe is any private key: a point of low order gives 0 with all of them, which
// crypto/ecdh refuses (RFC 7748 section 6.1).
var probe, _ = ecdh.X25519().NewPrivateKey(append(make([]byte, 31), 0x40))

func checkAgreement(k *ecdh.PublicKey) *KeyProblem {
	if k.Curve() != ecdh.X25519() || fips140.Enforced() {
		return nil // of prime order: every point serves; or refused by approved
	}
	if _, err := probe.ECDH(k); err != nil {
		return weakKey("the X25519 key is a point of low order")
	}
	return nil
}

// CheckEncryptionKey is CheckKey for keys that mail is to be encrypted to. What is
// written now is protected by keys of now, whatever is allowed for archives.
func CheckEncryptionKey(key crypto.PublicKey) *KeyProblem {
	if p := CheckKey(key, MinRSA); p != nil {
		return p
	}
	if k, ok := key.(*rsa.PublicKey); ok && !smallExponent(k) {
		return unsupportedKey("RSA exponent %d is over 31 bits, which is supported for verification only", k.E)
	}
	return nil
}
