package pbe

import (
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// How much work the passwords of one file may make. Tools in use write up to
// 2,000,000 iterations; 10,000,000 take a few seconds. A file with many keys
// has one derivation for each.
const (
	// PerFile is what all derivations of one file may make, in iterations.
	PerFile = 100_000_000

	maxIterations = 10_000_000
	maxMemory     = 128 << 20 // octets, of scrypt
)

// A Budget is what is left of the work that one file may make. It is not safe
// for concurrent use.
type Budget struct{ left int }

// NewBudget returns a budget of so many iterations, PerFile for a file.
func NewBudget(iterations int) *Budget { return &Budget{iterations} }

// spend takes iterations from the budget, before they are done.
func (b *Budget) spend(iterations int) error {
	if iterations > b.left {
		return fmt.Errorf("%w: over %d iterations in all; split the file", errWork, PerFile)
	}
	b.left -= iterations
	return nil
}

// readIterations reads an iteration count.
func readIterations(s *cryptobyte.String) (int, error) {
	n := new(big.Int)
	if !s.ReadASN1Integer(n) || n.Sign() <= 0 {
		return 0, errMalformed
	}
	if n.Cmp(big.NewInt(maxIterations)) > 0 {
		return 0, fmt.Errorf("%w: %s iterations, over %d; re-encrypt the file with fewer", errWork, shorten(n), maxIterations)
	}
	return int(n.Int64()), nil
}

// shorten writes a number that a stranger chose.
func shorten(n *big.Int) string {
	if n.BitLen() > 64 {
		return "more than 2^64"
	}
	return n.String()
}
