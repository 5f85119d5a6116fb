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
	switch key.(type) {
	case *BrainpoolKey:
		return brainpoolEffort
	case *MLDSAKey:
		return mldsaEffort
	}
	return 2
}

// mldsaEffort: the matrix is made of its seed with the key, the rest is fast.
const mldsaEffort = 4

// brainpoolEffort: the arithmetic is that of math/big.
const brainpoolEffort = 40

var spent atomic.Int64

// Spent is the effort of all verifications so far. It is how tests see what a
// stranger can have the process do.
func Spent() int { return int(spent.Load()) }
