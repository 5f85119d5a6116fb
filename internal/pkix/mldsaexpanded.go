package pkix

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"io"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

// An expandedMLDSA is a private key of which the seed is not known (RFC 9881
// section 6, expandedKey). It implements crypto.Signer.
type expandedMLDSA struct {
	set     *mldsaSet
	encoded []byte
	pub     crypto.PublicKey
	sign    func(message []byte) ([]byte, error)
}

// Public returns the *MLDSAKey.
func (k *expandedMLDSA) Public() crypto.PublicKey { return k.pub }

// Sign signs the message itself; the options must name no digest.
func (k *expandedMLDSA) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, errKeyKind
	}
	return k.sign(message)
}

// The parts of an expanded key (FIPS 204 algorithm 24): the seed of the matrix,
// with which the public key begins too, a secret, and the hash of the public key.
const (
	mldsaMatrixSeed = 32
	mldsaHash       = 64 // behind the matrix seed and a secret of 32 octets
)

// expandedKey reads an expanded private key. Its public key is computed, and held
// against the hash that is in it.
func (set *mldsaSet) expandedKey(encoded []byte) (*expandedMLDSA, error) {
	if len(encoded) != set.expanded {
		return nil, errKeyKind
	}
	k := &expandedMLDSA{set: set, encoded: bytes.Clone(encoded)}
	var pub []byte
	switch set.scheme {
	case MLDSA44Scheme:
		key := new(mldsa44.PrivateKey)
		key.Unpack((*[mldsa44.PrivateKeySize]byte)(encoded))
		public, _ := key.Public().(*mldsa44.PublicKey)
		pub = public.Bytes()
		k.sign = randomized(key, mldsa44.SignTo, mldsa44.SignatureSize)
	case MLDSA65Scheme:
		key := new(mldsa65.PrivateKey)
		key.Unpack((*[mldsa65.PrivateKeySize]byte)(encoded))
		public, _ := key.Public().(*mldsa65.PublicKey)
		pub = public.Bytes()
		k.sign = randomized(key, mldsa65.SignTo, mldsa65.SignatureSize)
	default:
		key := new(mldsa87.PrivateKey)
		key.Unpack((*[mldsa87.PrivateKeySize]byte)(encoded))
		public, _ := key.Public().(*mldsa87.PublicKey)
		pub = public.Bytes()
		k.sign = randomized(key, mldsa87.SignTo, mldsa87.SignatureSize)
	}
	if !set.matches(encoded, pub) {
		return nil, errKeyKind
	}
	k.pub = set.key(pub)
	return k, nil
}

// randomized signs as FIPS 204 section 3.4 has it by default, with the empty context.
func randomized[K any](key K, sign func(key K, message, context []byte, randomized bool, sig []byte) error, size int) func([]byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) {
		sig := make([]byte, size)
		if err := sign(key, message, nil, true, sig); err != nil {
			return nil, err
		}
		return sig, nil
	}
}

// matches reports whether an expanded private key names a public key as its own.
func (set *mldsaSet) matches(expanded, pub []byte) bool {
	if len(expanded) != set.expanded {
		return false
	}
	hash := sha3.SumSHAKE256(pub, mldsaHash)
	return bytes.Equal(expanded[:mldsaMatrixSeed], pub[:mldsaMatrixSeed]) &&
		bytes.Equal(expanded[2*mldsaMatrixSeed:2*mldsaMatrixSeed+mldsaHash], hash)
}
