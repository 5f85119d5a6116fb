package pkix

import "math/big"

// Integer returns the number whose contents octets in BER are b: two's complement, the
// most significant octet first (X.690 section 8.3). None is zero.
func Integer(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b)*8)))
	}
	return n
}
