package pbe

import "crypto/fips140"

// What FIPS 140-3 does not approve, by object identifier.
const (
	hmacSHA1  = "1.2.840.113549.2.7"
	tripleDES = "1.2.840.113549.3.7"
)

// Where FIPS 140-3 is enforced, old encryption is not supported: the library would
// panic in the middle of it.
func init() {
	if fips140.Enforced() {
		delete(prfs, hmacSHA1)
		delete(blockCiphers, tripleDES)
		clear(ownCiphers)
	}
}
