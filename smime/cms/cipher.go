package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/fips140"

	"golang.org/x/crypto/chacha20poly1305"
)

// Cipher names a content encryption algorithm.
type Cipher string

// The ciphers. The last two are read where the caller allows weak ones, and
// never written.
const (
	AES128CBC        Cipher = "aes-128-cbc"
	AES192CBC        Cipher = "aes-192-cbc"
	AES256CBC        Cipher = "aes-256-cbc"
	AES128GCM        Cipher = "aes-128-gcm"
	AES192GCM        Cipher = "aes-192-gcm"
	AES256GCM        Cipher = "aes-256-gcm"
	ChaCha20Poly1305 Cipher = "chacha20-poly1305"
	TripleDES        Cipher = "3des-cbc"
	RC2              Cipher = "rc2-cbc"
)

// A cipherSpec is what there is to know of a cipher.
type cipherSpec struct {
	name   Cipher
	oid    string
	key    int // octets; 0: the parameters say it
	aead   bool
	weak   bool
	block  func(key []byte) (cipher.Block, error)
	wrap   string // key wrap of the same strength (RFC 8551 section 2.3)
	wrapKB int    // octets of its key
}

var ciphers = [...]cipherSpec{
	{AES128CBC, oidAES128CBC, 16, false, false, aes.NewCipher, oidWrapAES128, 16},
	{AES192CBC, oidAES192CBC, 24, false, false, aes.NewCipher, oidWrapAES192, 24},
	{AES256CBC, oidAES256CBC, 32, false, false, aes.NewCipher, oidWrapAES256, 32},
	{AES128GCM, oidAES128GCM, 16, true, false, aes.NewCipher, oidWrapAES128, 16},
	{AES192GCM, oidAES192GCM, 24, true, false, aes.NewCipher, oidWrapAES192, 24},
	{AES256GCM, oidAES256GCM, 32, true, false, aes.NewCipher, oidWrapAES256, 32},
	{ChaCha20Poly1305, oidChaCha20Poly1305, 32, true, false, nil, oidWrapAES256, 32},
	{TripleDES, oidDES3CBC, 24, false, true, des.NewTripleDESCipher, "", 0},
	{RC2, oidRC2CBC, 0, false, true, nil, "", 0},
}

// spec returns what is known of c, nil if nothing is.
func (c Cipher) spec() *cipherSpec {
	for i := range ciphers {
		if ciphers[i].name == c {
			return &ciphers[i]
		}
	}
	return nil
}

// cipherByOID is spec for an object identifier.
func cipherByOID(oid []byte) *cipherSpec {
	for i := range ciphers {
		if ciphers[i].oid == string(oid) {
			return &ciphers[i]
		}
	}
	return nil
}

// Known reports whether this package can write with c.
func (c Cipher) Known() bool { s := c.spec(); return s != nil && !s.weak }

// Authenticated reports whether c protects the content against change.
func (c Cipher) Authenticated() bool { s := c.spec(); return s != nil && s.aead }

// Weak reports whether c is for reading old messages only.
func (c Cipher) Weak() bool { s := c.spec(); return s != nil && s.weak }

// The sizes of what we write with AEAD ciphers, in octets (RFC 5084 section
// 3.2, RFC 8103 section 3).
const (
	nonceSize = 12
	tagSize   = 16
)

// newAEAD returns the AEAD of the cipher with a nonce of nonceLen and a tag of
// tagLen octets. The library has AES-GCM with an unusual nonce or an unusual
// tag, and not with both.
func (s *cipherSpec) newAEAD(key []byte, nonceLen, tagLen int) (cipher.AEAD, error) {
	if s.name == ChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	b, err := s.block(key)
	if err != nil {
		return nil, err
	}
	if fips140.Enforced() {
		return newApprovedGCM(b, nonceLen, tagLen)
	}
	if tagLen == tagSize {
		return cipher.NewGCMWithNonceSize(b, nonceLen)
	}
	return cipher.NewGCMWithTagSize(b, tagLen)
}

// aeadParams returns GCMParameters, or the nonce alone for ChaCha20-Poly1305.
func (s *cipherSpec) aeadParams(nonce []byte) []byte {
	var b builder
	if s.name == ChaCha20Poly1305 {
		b.tlv(tagOctetString, nonce)
		return b
	}
	m := b.open(tagSequence)
	b.tlv(tagOctetString, nonce)
	b.int(tagSize)
	b.close(m)
	return b
}
