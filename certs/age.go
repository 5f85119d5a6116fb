package certs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
)

// ByAge sorts certificates, the newest first: by the start of validity, then by its end, and then
// by fingerprint, so that of two that began in the same second every process, and every node,
// uses the same.
func ByAge(a, b *x509.Certificate) int {
	if c := cmp.Or(b.NotBefore.Compare(a.NotBefore), b.NotAfter.Compare(a.NotAfter)); c != 0 || bytes.Equal(a.Raw, b.Raw) {
		return c
	}
	x, y := sha256.Sum256(a.Raw), sha256.Sum256(b.Raw)
	return bytes.Compare(x[:], y[:])
}

// Newer reports whether a is before b in the order of ByAge.
func Newer(a, b *x509.Certificate) bool { return ByAge(a, b) < 0 }
