package pkix

import (
	"crypto"
	"sync/atomic"
)

// Effort is how long a verification with the key takes, as a multiple of one with
// RSA-2048. Elliptic curves count as two.
func Effort(key crypto.PublicKey) int {
	if k := RSAKey(key); k != nil {
		bits := min(k.N.BitLen(), MaxRSA)
		return 1 + bits*bits/(2048*2048)
	}
	switch key := key.(type) {
	case *BrainpoolKey:
		return brainpoolEffort
	case *MLDSAKey:
		return mldsaEffort
	case *SLHDSAKey:
		return key.set.effort
	}
	return 2
}

// mldsaEffort: the matrix is made of its seed with the key, the rest is fast.
const mldsaEffort = 4

// The efforts of SLH-DSA: thousands of hashes, more of them in the sets that are fast to
// sign with. The last is half of what it takes, so that a chain with two such issuers
// stays within what path validation allows.
const (
	smallEffort      = 40
	fastEffort       = 65
	shakeSmallEffort = 60
	shakeFastEffort  = 90
)

// brainpoolEffort: the arithmetic is that of math/big.
const brainpoolEffort = 40

var spent atomic.Int64

// Spent is the effort of all verifications so far. It is how tests see what a
// stranger can have the process do.
func Spent() int { return int(spent.Load()) }
