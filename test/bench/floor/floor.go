// Package floor has the bare public-key operations that a benchmark compares with: what no
// code around them can be faster than.
package floor

//lint:file-ignore SA1019 PKCS #1 v1.5 is what RFC 8551 has recipients read

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
)

// Key holds the operations of one key: Sign and Verify on a digest, Wrap and Unwrap on a
// content-encryption key.
type Key struct{ Sign, Verify, Wrap, Unwrap func() }

// NewKey returns the operations of an RSA or ECDSA private key on a SHA-256 digest.
func NewKey(key crypto.PrivateKey, digest []byte) Key {
	if key, ok := key.(*rsa.PrivateKey); ok {
		return rsaKey(key, digest)
	}
	return ecKey(key.(*ecdsa.PrivateKey), digest)
}

func rsaKey(key *rsa.PrivateKey, digest []byte) Key {
	signature := must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest))
	wrapped := must(rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest))
	return Key{
		Sign:   func() { must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)) },
		Verify: func() { must(0, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest, signature)) },
		Wrap:   func() { must(rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest)) },
		Unwrap: func() { must(rsa.DecryptPKCS1v15(nil, key, wrapped)) },
	}
}

func ecKey(key *ecdsa.PrivateKey, digest []byte) Key {
	signature := must(ecdsa.SignASN1(rand.Reader, key, digest))
	private := must(key.ECDH())
	return Key{
		Sign:   func() { must(ecdsa.SignASN1(rand.Reader, key, digest)) },
		Verify: func() { ecdsa.VerifyASN1(&key.PublicKey, digest, signature) },
		// A message needs an ephemeral key of its own for each recipient.
		Wrap:   func() { must(must(ecdh.P256().GenerateKey(rand.Reader)).ECDH(private.PublicKey())) },
		Unwrap: func() { must(private.ECDH(private.PublicKey())) },
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
