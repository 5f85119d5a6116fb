package pbe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// SealKey encrypts a PrivateKeyInfo under a password as an
// EncryptedPrivateKeyInfo (RFC 5958 section 3), with PBES2, AES-256-CBC, and
// PBKDF2 with HMAC-SHA-256.
func SealKey(info []byte, password string, iterations int) ([]byte, error) {
	random := make([]byte, 2*aes.BlockSize)
	rand.Read(random) // never fails
	salt, iv := random[:aes.BlockSize], random[aes.BlockSize:]
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(info)%aes.BlockSize
	data := append(bytes.Clone(info), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	params, err := sealedParams(salt, iv, iterations)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: params}}, data})
}

// sealedParams returns PBES2-params (RFC 8018 appendix A.4).
func sealedParams(salt, iv []byte, iterations int) ([]byte, error) {
	type algorithm struct {
		ID     asn1.ObjectIdentifier
		Params any
	}
	type kdf struct {
		Salt       []byte
		Iterations int
		PRF        algorithm
	}
	return asn1.Marshal(struct{ KDF, Cipher algorithm }{
		algorithm{oidPBKDF2, kdf{salt, iterations, algorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, asn1.NullRawValue}}},
		algorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, iv},
	})
}
