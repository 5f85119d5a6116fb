package certs

import (
	"crypto"
	"crypto/x509"
	"errors"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

var errOtherKey = errors.New("the private key does not belong to the certificate")

// Check refuses an identity whose key is not that of its certificate.
func (id *Identity) Check() error {
	if !belongs(id.Key, id.Certificate) {
		return errOtherKey
	}
	return nil
}

// Signs reports whether the private key of c may sign mail: by its kind of key, key
// usage and extended key usage.
func Signs(c *x509.Certificate) bool { return CheckPurpose(c, ForSigning) == nil }

// Decrypts reports whether mail can be encrypted to c, and so whether its private
// key decrypts any: by its kind of key, key usage and extended key usage.
func Decrypts(c *x509.Certificate) bool { return CheckPurpose(c, ForEncryption) == nil }

// belongs reports whether key is the private key of c.
func belongs(key crypto.PrivateKey, c *x509.Certificate) bool {
	pub, _ := pkix.PublicHalf(key)
	equal, ok := pub.(interface{ Equal(crypto.PublicKey) bool })
	want := pkix.PublicKey(c)
	if k := pkix.RSAKey(want); k != nil { // private keys do not say that they are for PSS alone
		want = k
	}
	return ok && equal.Equal(want)
}
