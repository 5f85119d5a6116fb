// Package pbe opens what is encrypted under a password: the key bags and safes of
// PKCS #12 (RFC 7292) and the private keys of PKCS #8 (RFC 5958). It knows the
// key derivation of PKCS #12 itself, PBKDF2 and scrypt, and the ciphers that
// programs in use write with them.
//
// A file says how much work its password makes. What a Budget does not allow is
// refused before any of it is done.
package pbe

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The ways in which opening fails.
var (
	// ErrPassword: the password is wrong, or the ciphertext was damaged.
	ErrPassword = errors.New("the password is wrong")
	// errMalformed: the parameters are not what their type says.
	errMalformed = errors.New("the parameters of its encryption are not well-formed")
	// ErrUnsupported: an algorithm that is not known.
	ErrUnsupported = errors.New("not supported")
	// errWork: the derivation would take too long, or too much memory.
	errWork = errors.New("key derivation from the password is too expensive")
)

func unsupported(what, id string) error {
	return fmt.Errorf("%s %s is %w; re-encrypt it with AES, for example: openssl pkcs8 -topk8 or openssl pkcs12 -export", what, id, ErrUnsupported)
}

// A Scheme is a pair of key derivation and cipher with their parameters.
type Scheme struct {
	derive func(Form) (key, iv []byte, err error)
	block  func(key []byte) (cipher.Block, error)
}

// ReadScheme reads the AlgorithmIdentifier of an encryption under a password
// from s, and takes its work from the budget when it is used.
func ReadScheme(s *cryptobyte.String, b *Budget) (*Scheme, error) {
	id, params, err := readAlgorithm(s)
	if err != nil {
		return nil, err
	}
	if c, ok := ownCiphers[id.String()]; ok {
		return c.scheme(params, b)
	}
	if id.Equal(oidPBES2) {
		return readPBES2(params, b)
	}
	return nil, unsupported("encryption", id.String())
}

// Open decrypts data with the first of the forms for which accept takes the
// plaintext. A wrong password shows in the padding, or else in what accept sees.
func (s *Scheme) Open(data []byte, forms []Form, accept func([]byte) bool) ([]byte, error) {
	for _, f := range forms {
		plain, err := s.open(data, f)
		if err == nil && accept(plain) {
			return plain, nil
		}
		if err != nil && !errors.Is(err, ErrPassword) {
			return nil, err
		}
	}
	return nil, ErrPassword
}

func (s *Scheme) open(data []byte, f Form) ([]byte, error) {
	key, iv, err := s.derive(f)
	if err != nil {
		return nil, err
	}
	block, err := s.block(key)
	if err != nil {
		return nil, err
	}
	if size := block.BlockSize(); len(data) == 0 || len(data)%size != 0 || len(iv) != size {
		return nil, errMalformed
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	return unpad(plain, block.BlockSize())
}

// unpad removes the padding of RFC 8018 section 6.1.1.
func unpad(b []byte, size int) ([]byte, error) {
	n := int(b[len(b)-1])
	if n == 0 || n > size || !bytes.Equal(b[len(b)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, ErrPassword
	}
	return b[:len(b)-n], nil
}

// OpenKey decrypts an EncryptedPrivateKeyInfo (RFC 5958 section 3) in DER and
// returns the PrivateKeyInfo.
func OpenKey(der []byte, forms []Form, b *Budget) ([]byte, error) {
	s := cryptobyte.String(der)
	var info, data cryptobyte.String
	if !s.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return nil, errMalformed
	}
	scheme, err := ReadScheme(&info, b)
	if err != nil {
		return nil, err
	}
	if !info.ReadASN1(&data, cryptobyte_asn1.OCTET_STRING) || !info.Empty() {
		return nil, errMalformed
	}
	return scheme.Open(data, forms, isSequence)
}

// isSequence reports whether b is exactly one SEQUENCE.
func isSequence(b []byte) bool {
	s := cryptobyte.String(b)
	var inner cryptobyte.String
	return s.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) && s.Empty()
}
