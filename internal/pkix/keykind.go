package pkix

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"strings"
)

// KeyKind returns the word for a kind of key that profiles use: "rsa", "ec" (the curves
// of NIST), "brainpool", "ed25519", "x25519", "slh-dsa" (all its sets), or the name of a parameter set such as
// "ml-dsa-87"; "" for others.
func KeyKind(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey, PSSKey:
		return "rsa"
	case *ecdsa.PublicKey:
		return "ec"
	case *BrainpoolKey:
		return "brainpool"
	case ed25519.PublicKey:
		return "ed25519"
	case *ecdh.PublicKey:
		return "x25519"
	case *MLDSAKey:
		return string(MLDSAScheme(k))
	case *SLHDSAKey:
		return "slh-dsa"
	case *KEMKey:
		return strings.ToLower(k.Name())
	}
	return ""
}
