package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"

	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/bench/floor"
)

// octets are those that the primitives of a job work on: the engine's own, so that as much
// memory is read and written.
type octets struct {
	content []byte // what is hashed or encrypted
	object  []byte // the CMS object
	text    []byte // the object in base64, without line ends
	room    []byte // for a copy of the content
}

// floor returns the primitives of a case on the octets of its S/MIME message, into memory
// that is there: what no code around them can be faster than. What is signed is written
// into the result too. It has none of the parsing, of the conversion and of the checks
// that make a message of the primitives, nor memory that is new.
func (w *world) floor(c benchCase, plain, protected []byte) func() {
	o := octetsOf(plain, protected)
	block := must(aes.NewCipher(make([]byte, 32)))
	iv := make([]byte, aes.BlockSize)
	digest := sha256.Sum256(o.content)
	k := floor.NewKey(w.ids[0].Key, digest[:])
	hash := func() { sha256.Sum256(o.content) }
	encode := func() { base64.StdEncoding.Encode(o.text, o.object) }
	decode := func() { must(base64.StdEncoding.Decode(o.object, o.text)) }
	// The ciphertext is most of the object, and its end where the cipher is CBC.
	whole := len(o.content) / aes.BlockSize * aes.BlockSize
	encrypt := func() {
		for range c.recipients {
			k.Wrap()
		}
		ciphertext := o.object[len(o.object)-whole:]
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, o.content[:whole])
		encode()
	}
	switch c.operation {
	case "sign":
		return func() { hash(); k.Sign(); copy(o.room, o.content); encode() }
	case "verify":
		return func() { decode(); hash(); k.Verify() }
	case "encrypt":
		return encrypt
	case "decrypt":
		return func() {
			decode()
			k.Unwrap()
			ciphertext := o.object[len(o.object)-whole:]
			cipher.NewCBCDecrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
		}
	}
	return func() { hash(); k.Sign(); encrypt() }
}

// octetsOf takes them from a plain message and what the engine made of it.
func octetsOf(plain, protected []byte) octets {
	o := octets{content: must(message.Parse(plain)).Body(), room: make([]byte, len(plain))}
	part := must(message.Parse(protected)).Root()
	if len(part.Children) == 2 {
		part = part.Children[1]
	}
	o.object = must(part.Decode())
	o.text = make([]byte, base64.StdEncoding.EncodedLen(len(o.object)))
	base64.StdEncoding.Encode(o.text, o.object)
	return o
}
