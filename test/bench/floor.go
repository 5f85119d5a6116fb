package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"

	"github.com/smimerelay/smimerelay/test/bench/floor"
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
	k := floor.NewKey(w.ids[0].Key, digest[:])

	sign := func() { sha256.Sum256(content); k.Sign() }
	encrypt := func() {
		cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(scratch[:whole], content[:whole])
		base64.StdEncoding.Encode(text, scratch)
		for range c.recipients {
			k.Wrap()
		}
	}
	switch c.operation {
	case "sign":
		return sign
	case "verify":
		return func() { sha256.Sum256(content); k.Verify() }
	case "encrypt":
		return encrypt
	case "decrypt":
		return func() {
			k.Unwrap()
			base64.StdEncoding.Decode(scratch, text)
			cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(scratch[:whole], scratch[:whole])
		}
	}
	return func() { sign(); encrypt() }
}
