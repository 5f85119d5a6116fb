package pkix

import (
	"crypto"
	"crypto/ecdh"
	"crypto/fips140"
	"crypto/rsa"
)

// With GODEBUG=fips140=only the standard library refuses, by an error or a panic, what
// FIPS 140-3 does not approve. Everything of the kind is refused here before it gets
// there, by name.

// NotApproved describes an algorithm that FIPS 140-3 does not approve.
const NotApproved = "not approved by FIPS 140-3, and GODEBUG=fips140=only is set"

// ApprovedDigest reports whether h may be used for signatures and for keys.
func ApprovedDigest(h crypto.Hash) bool {
	switch h {
	case crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512:
		return true
	}
	return !fips140.Enforced()
}

// Approved reports whether a may be verified: its digest, and the parameters of PSS,
// of which FIPS 186-5 section 5.4 limits the salt.
func (a Algorithm) Approved() bool {
	if !fips140.Enforced() || a.hash == 0 {
		return true
	}
	p := a.pss
	return ApprovedDigest(a.hash) && (a.scheme != PSSScheme || p.Mask == p.Hash && p.Salt > 0 && p.Salt <= HashSize(p.Hash))
}

// Identifier hashes data for a name of it, which need not be hard to forge: FIPS 140-3
// leaves such uses alone.
func Identifier(h crypto.Hash, data []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() {
		state := NewHash(h)
		state.Write(data)
		sum = state.Sum(nil)
	})
	return sum
}

// approved refuses keys whose arithmetic is not that of the module that was validated:
// the curves of Brainpool, ML-KEM-512, ML-DSA and SLH-DSA; and X25519 and small RSA keys.
func approved(key crypto.PublicKey) *KeyProblem {
	if !fips140.Enforced() {
		return nil
	}
	switch k := key.(type) {
	case *ecdh.PublicKey:
		if k.Curve() != ecdh.X25519() {
			return nil
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= MinRSA && smallExponent(k) {
			return nil
		}
	case PSSKey:
		return approved(k.PublicKey)
	case *KEMKey:
		if k.set != &kemSets[0] {
			return nil
		}
	case *BrainpoolKey, *MLDSAKey, *SLHDSAKey:
	default:
		return nil
	}
	return &KeyProblem{NotApproved: true, text: "its kind of key is " + NotApproved}
}
