package pkix

import (
	"crypto"
	"encoding/asn1"

	"filippo.io/mldsa"
)

// This file alone knows filippo.io/mldsa, whose types are those of the standard
// library from Go 1.27 on.

// MLDSAKey is a public key of ML-DSA (FIPS 204, RFC 9881).
type MLDSAKey = mldsa.PublicKey

// An mldsaSet is a parameter set of ML-DSA (RFC 9881 section 2).
type mldsaSet struct {
	id       asn1.ObjectIdentifier // of keys and of signatures
	name     string                // as reports and the configuration have it
	scheme   Scheme
	params   mldsa.Parameters
	expanded int // octets of an expanded private key (FIPS 204 section 4)
	digest   int // the least bits of a digest in signed attributes (RFC 9882 section 3.3)
}

var mldsaSets = [...]mldsaSet{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}, "ML-DSA-44", MLDSA44Scheme, mldsa.MLDSA44(), 2560, 256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}, "ML-DSA-65", MLDSA65Scheme, mldsa.MLDSA65(), 4032, 384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}, "ML-DSA-87", MLDSA87Scheme, mldsa.MLDSA87(), 4896, 512},
}

// mldsaByID returns the parameter set of an object identifier, nil for others.
func mldsaByID(id asn1.ObjectIdentifier) *mldsaSet {
	for i := range mldsaSets {
		if mldsaSets[i].id.Equal(id) {
			return &mldsaSets[i]
		}
	}
	return nil
}

// mldsaOf returns the parameter set of a key.
func mldsaOf(key *MLDSAKey) *mldsaSet {
	for i := range mldsaSets {
		if mldsaSets[i].params == key.Parameters() {
			return &mldsaSets[i]
		}
	}
	return nil
}

// MLDSAScheme returns the scheme of a key's signatures: there is one for each
// parameter set.
func MLDSAScheme(key *MLDSAKey) Scheme { return mldsaOf(key).scheme }

// GenerateMLDSA makes a key for a scheme of ML-DSA.
func GenerateMLDSA(s Scheme) (crypto.Signer, error) {
	for _, set := range mldsaSets {
		if set.scheme == s {
			return mldsa.GenerateKey(set.params)
		}
	}
	return nil, errKeyKind
}

// key reads a public key; nil if it has the wrong size.
func (set *mldsaSet) key(bits []byte) crypto.PublicKey {
	key, err := mldsa.NewPublicKey(set.params, bits)
	if err != nil {
		return nil
	}
	return key
}

// private makes a private key of its seed.
func (set *mldsaSet) private(seed []byte) (crypto.Signer, error) {
	return mldsa.NewPrivateKey(set.params, seed)
}

// verify reports whether sig is the signature of data, with the empty context (RFC
// 9881 section 3, RFC 9882 section 2).
func (set *mldsaSet) verify(key *MLDSAKey, data, sig []byte) bool {
	return key.Parameters() == set.params && mldsa.Verify(key, data, sig, nil) == nil
}

// seedOfMLDSA returns the parameter set and the seed of a private key; ok is false
// for other keys.
func seedOfMLDSA(key crypto.PrivateKey) (set *mldsaSet, seed []byte, ok bool) {
	k, ok := key.(*mldsa.PrivateKey)
	if !ok {
		return nil, nil, false
	}
	return mldsaOf(k.PublicKey()), k.Bytes(), true
}
