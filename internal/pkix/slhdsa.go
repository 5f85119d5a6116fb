package pkix

import (
	"crypto"
	"encoding/asn1"

	"github.com/cloudflare/circl/sign/slhdsa"
)

// This file alone knows circl's SLH-DSA. Signatures are verified, and none are made:
// they are slow, and their private keys are not read.

// An slhdsaSet is a parameter set of SLH-DSA (RFC 9909 section 3), in its pure form.
type slhdsaSet struct {
	id     asn1.ObjectIdentifier // of keys and of signatures
	name   string
	scheme Scheme
	params slhdsa.ID
	// digest is the least bits of a digest in signed attributes: twice the octets of the
	// hash in the tree (RFC 9814 section 4).
	digest int
	effort int // see Effort
}

var slhdsaSets = [...]slhdsaSet{
	{slhdsaID(20), "SLH-DSA-SHA2-128s", "slh-dsa-sha2-128s", slhdsa.SHA2_128s, 256, smallEffort},
	{slhdsaID(21), "SLH-DSA-SHA2-128f", "slh-dsa-sha2-128f", slhdsa.SHA2_128f, 256, fastEffort},
	{slhdsaID(22), "SLH-DSA-SHA2-192s", "slh-dsa-sha2-192s", slhdsa.SHA2_192s, 384, smallEffort},
	{slhdsaID(23), "SLH-DSA-SHA2-192f", "slh-dsa-sha2-192f", slhdsa.SHA2_192f, 384, fastEffort},
	{slhdsaID(24), "SLH-DSA-SHA2-256s", "slh-dsa-sha2-256s", slhdsa.SHA2_256s, 512, smallEffort},
	{slhdsaID(25), "SLH-DSA-SHA2-256f", "slh-dsa-sha2-256f", slhdsa.SHA2_256f, 512, fastEffort},
	{slhdsaID(26), "SLH-DSA-SHAKE-128s", "slh-dsa-shake-128s", slhdsa.SHAKE_128s, 256, shakeSmallEffort},
	{slhdsaID(27), "SLH-DSA-SHAKE-128f", "slh-dsa-shake-128f", slhdsa.SHAKE_128f, 256, shakeFastEffort},
	{slhdsaID(28), "SLH-DSA-SHAKE-192s", "slh-dsa-shake-192s", slhdsa.SHAKE_192s, 384, shakeSmallEffort},
	{slhdsaID(29), "SLH-DSA-SHAKE-192f", "slh-dsa-shake-192f", slhdsa.SHAKE_192f, 384, shakeFastEffort},
	{slhdsaID(30), "SLH-DSA-SHAKE-256s", "slh-dsa-shake-256s", slhdsa.SHAKE_256s, 512, shakeSmallEffort},
	{slhdsaID(31), "SLH-DSA-SHAKE-256f", "slh-dsa-shake-256f", slhdsa.SHAKE_256f, 512, shakeFastEffort},
}

func slhdsaID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, n}
}

// slhdsaByID returns the parameter set of an object identifier, nil for others.
func slhdsaByID(id asn1.ObjectIdentifier) *slhdsaSet {
	for i := range slhdsaSets {
		if slhdsaSets[i].id.Equal(id) {
			return &slhdsaSets[i]
		}
	}
	return nil
}

// slhdsaByScheme returns the parameter set of a scheme, nil for others.
func slhdsaByScheme(s Scheme) *slhdsaSet {
	for i := range slhdsaSets {
		if slhdsaSets[i].scheme == s {
			return &slhdsaSets[i]
		}
	}
	return nil
}

// An SLHDSAKey is a public key of SLH-DSA (FIPS 205, RFC 9909).
type SLHDSAKey struct {
	set *slhdsaSet
	key slhdsa.PublicKey
}

// encoded returns the encoded key: the seed and the root.
func (k *SLHDSAKey) encoded() []byte {
	b, err := k.key.MarshalBinary()
	if err != nil {
		panic(err) // a key that was read can be written
	}
	return b
}

// Equal reports whether x is the same key.
func (k *SLHDSAKey) Equal(x crypto.PublicKey) bool {
	other, ok := x.(*SLHDSAKey)
	return ok && k.set == other.set && k.key.Equal(other.key)
}

// key reads a public key; nil if it has the wrong size.
func (set *slhdsaSet) key(bits []byte) crypto.PublicKey {
	if len(bits) != set.params.Scheme().PublicKeySize() {
		return nil
	}
	k := &SLHDSAKey{set: set, key: slhdsa.PublicKey{ID: set.params}}
	if k.key.UnmarshalBinary(bits) != nil {
		return nil
	}
	return k
}

// verify reports whether sig is the signature of data, with the empty context (RFC
// 9909 section 3, RFC 9814 section 3).
func (k *SLHDSAKey) verify(data, sig []byte) bool {
	return slhdsa.Verify(&k.key, slhdsa.NewMessage(data), sig, nil)
}
