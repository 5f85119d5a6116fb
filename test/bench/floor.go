package main

//lint:file-ignore SA1019 PKCS #1 v1.5 is what RFC 8551 has recipients read

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
)

// floor returns the primitives of a case on buffers of its size: what no code
// around them can be faster than.
func (w *world) floor(c benchCase) func() {
	content := make([]byte, c.size)
	text := make([]byte, base64.StdEncoding.EncodedLen(c.size))
	base64.StdEncoding.Encode(text, content)
	scratch := make([]byte, c.size)
	block := must(aes.NewCipher(make([]byte, 32)))
	whole := c.size / aes.BlockSize * aes.BlockSize
	digest := sha256.Sum256(content)
	k := newFloorKey(w.ids[0].Key, digest[:])

	sign := func() { sha256.Sum256(content); k.sign() }
	encrypt := func() {
		cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(scratch[:whole], content[:whole])
		base64.StdEncoding.Encode(text, scratch)
		for range c.recipients {
			k.wrap()
		}
	}
	switch c.operation {
	case "sign":
		return sign
	case "verify":
		return func() { sha256.Sum256(content); k.verify() }
	case "encrypt":
		return encrypt
	case "decrypt":
		return func() {
			k.unwrap()
			base64.StdEncoding.Decode(scratch, text)
			cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(scratch[:whole], scratch[:whole])
		}
	}
	return func() { sign(); encrypt() }
}

// floorKey holds the public-key operations of one kind of key.
type floorKey struct{ sign, verify, wrap, unwrap func() }

func newFloorKey(key crypto.PrivateKey, digest []byte) floorKey {
	if key, ok := key.(*rsa.PrivateKey); ok {
		signature := must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest))
		wrapped := must(rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest))
		return floorKey{
			sign:   func() { must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)) },
			verify: func() { must(0, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest, signature)) },
			wrap:   func() { must(rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest)) },
			unwrap: func() { must(rsa.DecryptPKCS1v15(nil, key, wrapped)) },
		}
	}
	signer := key.(*ecdsa.PrivateKey)
	signature := must(ecdsa.SignASN1(rand.Reader, signer, digest))
	private := must(signer.ECDH())
	agree := func() { must(private.ECDH(private.PublicKey())) }
	return floorKey{
		sign:   func() { must(ecdsa.SignASN1(rand.Reader, signer, digest)) },
		verify: func() { ecdsa.VerifyASN1(&signer.PublicKey, digest, signature) },
		// A message needs an ephemeral key of its own for each recipient.
		wrap:   func() { must(must(ecdh.P256().GenerateKey(rand.Reader)).ECDH(private.PublicKey())) },
		unwrap: agree,
	}
}
