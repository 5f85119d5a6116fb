package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"
)

// maxIterations limits how long a file can make a password derivation take: about
// ten seconds. Tools in use write up to 2,000,000.
const maxIterations = 10_000_000

var errIterations = fmt.Errorf("its password derivation asks for more than %d iterations", maxIterations)

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidTripleDES  = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
)

// pbes2 is PBES2-params and pbkdf2Params PBKDF2-params of RFC 8018, appendix A.
type pbes2 struct {
	KDF, Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 opens an EncryptedPrivateKeyInfo (RFC 5958 section 3) made with
// PBES2.
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errKeyEncrypted
	}
	var p pbes2
	var k pbkdf2Params
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &p); err != nil || !p.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, errKeyEncrypted
	}
	if _, err := asn1.Unmarshal(p.KDF.Parameters.FullBytes, &k); err != nil {
		return nil, errKeyEncrypted
	}
	block, iv, err := k.cipher(p.Cipher, password)
	if err != nil {
		return nil, err
	}
	if len(info.Data) == 0 || len(info.Data)%block.BlockSize() != 0 || len(iv) != block.BlockSize() {
		return nil, errKeyEncrypted
	}
	plain := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
	return unpad(plain, block.BlockSize())
}

// cipher derives the key and returns the block cipher with its initial vector.
func (k pbkdf2Params) cipher(id pkix.AlgorithmIdentifier, password string) (cipher.Block, []byte, error) {
	if k.Iterations < 1 || k.Iterations > maxIterations {
		return nil, nil, errIterations
	}
	prf, err := k.prf()
	if err != nil {
		return nil, nil, err
	}
	var iv []byte
	if _, err := asn1.Unmarshal(id.Parameters.FullBytes, &iv); err != nil {
		return nil, nil, errKeyEncrypted
	}
	size, make := keySize(id.Algorithm)
	if make == nil {
		return nil, nil, errKeyEncrypted
	}
	key, err := pbkdf2.Key(prf, password, k.Salt, k.Iterations, size)
	if err != nil {
		return nil, nil, err
	}
	block, err := make(key)
	return block, iv, err
}

func keySize(id asn1.ObjectIdentifier) (int, func([]byte) (cipher.Block, error)) {
	switch {
	case id.Equal(oidAES128CBC):
		return 16, aes.NewCipher
	case id.Equal(oidAES192CBC):
		return 24, aes.NewCipher
	case id.Equal(oidAES256CBC):
		return 32, aes.NewCipher
	case id.Equal(oidTripleDES):
		return 24, des.NewTripleDESCipher
	}
	return 0, nil
}

func (k pbkdf2Params) prf() (func() hash.Hash, error) {
	switch id := k.PRF.Algorithm; {
	case id == nil, id.Equal(oidHMACSHA1): // the default, RFC 8018 appendix A.2
		return sha1.New, nil
	case id.Equal(oidHMACSHA256):
		return sha256.New, nil
	case id.Equal(oidHMACSHA384):
		return sha512.New384, nil
	case id.Equal(oidHMACSHA512):
		return sha512.New, nil
	}
	return nil, errKeyEncrypted
}

// unpad removes the padding of RFC 8018 section 6.1.1. A wrong password shows
// here, or in what follows.
func unpad(b []byte, size int) ([]byte, error) {
	n := int(b[len(b)-1])
	if n == 0 || n > size || n > len(b) {
		return nil, errWrongPassword
	}
	for _, c := range b[len(b)-n:] {
		if int(c) != n {
			return nil, errWrongPassword
		}
	}
	return b[:len(b)-n], nil
}
