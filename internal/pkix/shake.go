package pkix

import (
	"crypto"
	"crypto/sha3"
	"hash"
)

// SHAKE128 and SHAKE256 are the functions of FIPS 202 as digests, of 256 and 512 bits (RFC
// 8702 section 3.1). Package crypto has no names for them, and the methods of these panic:
// NewHash, HashSize and HashAvailable know them.
const (
	SHAKE128 crypto.Hash = 1000 + iota
	SHAKE256
)

// shakes reports whether h is one of these.
func shakes(h crypto.Hash) bool { return h == SHAKE128 || h == SHAKE256 }

// NewHash returns a new hash of a function that is available.
func NewHash(h crypto.Hash) hash.Hash {
	if shakes(h) {
		return &shake{newSHAKE(h), h}
	}
	return h.New()
}

// HashSize is the length of a digest, in octets.
func HashSize(h crypto.Hash) int {
	switch h {
	case SHAKE128:
		return 32
	case SHAKE256:
		return 64
	}
	return h.Size()
}

// HashAvailable reports whether NewHash can be called.
func HashAvailable(h crypto.Hash) bool { return shakes(h) || h.Available() }

func newSHAKE(h crypto.Hash) *sha3.SHAKE {
	if h == SHAKE128 {
		return sha3.NewSHAKE128()
	}
	return sha3.NewSHAKE256()
}

// shake is a SHAKE with an output of one length.
type shake struct {
	*sha3.SHAKE
	function crypto.Hash
}

// Size implements hash.Hash.
func (s *shake) Size() int { return HashSize(s.function) }

// Sum implements hash.Hash: the state stays as it is.
func (s *shake) Sum(b []byte) []byte {
	state, err := s.MarshalBinary()
	if err != nil {
		panic(err) // it never fails
	}
	again := newSHAKE(s.function)
	if err := again.UnmarshalBinary(state); err != nil {
		panic(err) // of its own state
	}
	out := make([]byte, s.Size())
	_, _ = again.Read(out) // never fails
	return append(b, out...)
}
