package pbe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// maxKey limits the size of a derived key, in octets.
const maxKey = 64

// prfs are the pseudo-random functions of PBKDF2, all HMAC, by object identifier
// (RFC 8018 appendix B.1.2).
var prfs = map[string]func() hash.Hash{
	hmacSHA1:              sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

type blockCipher struct {
	keySize int
	block   func(key []byte) (cipher.Block, error)
}

// blockCiphers are the ciphers of PBES2, all CBC with the initial vector as
// parameters (RFC 8018 appendix B.2).
var blockCiphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	tripleDES:                 {24, des.NewTripleDESCipher},
}

// readPBES2 reads PBES2-params (RFC 8018 appendix A.4).
func readPBES2(params cryptobyte.String, b *Budget) (*Scheme, error) {
	var inner, iv cryptobyte.String
	if !params.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) {
		return nil, errMalformed
	}
	kdf, err := ReadKDF(&inner, b)
	if err != nil {
		return nil, err
	}
	id, param, err := readAlgorithm(&inner)
	if err != nil {
		return nil, err
	}
	c, ok := blockCiphers[id.String()]
	if !ok {
		return nil, unsupported("cipher", id.String())
	}
	if !param.ReadASN1(&iv, cryptobyte_asn1.OCTET_STRING) || kdf.Length != 0 && kdf.Length != c.keySize {
		return nil, errMalformed
	}
	derive := func(f Form) ([]byte, []byte, error) {
		key, err := kdf.Key(f, c.keySize)
		return key, iv, err
	}
	return &Scheme{derive, c.block}, nil
}

// A KDF makes a key from a password.
type KDF struct {
	// Length is the size of the key as the parameters say it, 0 if they do not.
	Length int

	derive func(password string, size int) ([]byte, error)
}

// Key derives a key of size octets.
func (k *KDF) Key(f Form, size int) ([]byte, error) { return k.derive(string(f.Plain), size) }

// ReadKDF reads the AlgorithmIdentifier of PBKDF2 (RFC 8018 appendix A.2) or
// scrypt (RFC 7914 section 7) from s.
func ReadKDF(s *cryptobyte.String, b *Budget) (*KDF, error) {
	id, params, err := readAlgorithm(s)
	if err != nil {
		return nil, err
	}
	var inner, salt cryptobyte.String
	if !params.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) || !inner.ReadASN1(&salt, cryptobyte_asn1.OCTET_STRING) {
		return nil, errMalformed
	}
	switch {
	case id.Equal(oidPBKDF2):
		return readPBKDF2(inner, salt, b)
	case id.Equal(oidScrypt):
		return readScrypt(inner, salt, b)
	}
	return nil, unsupported("key derivation", id.String())
}

func readPBKDF2(s cryptobyte.String, salt []byte, b *Budget) (*KDF, error) {
	n, err := readIterations(&s)
	if err != nil {
		return nil, err
	}
	k := &KDF{}
	if s.PeekASN1Tag(cryptobyte_asn1.INTEGER) && (!s.ReadASN1Integer(&k.Length) || k.Length < 1 || k.Length > maxKey) {
		return nil, errMalformed
	}
	id := hmacSHA1 // the default
	if !s.Empty() {
		named, _, err := readAlgorithm(&s)
		if err != nil {
			return nil, err
		}
		id = named.String()
	}
	prf := prfs[id]
	if prf == nil {
		return nil, unsupported("pseudo-random function", id)
	}
	k.derive = func(password string, size int) ([]byte, error) {
		blocks := (size + prf().Size() - 1) / prf().Size()
		if err := b.spend(n * blocks); err != nil {
			return nil, err
		}
		return pbkdf2.Key(prf, password, salt, n, size)
	}
	return k, nil
}

func readScrypt(s cryptobyte.String, salt []byte, b *Budget) (*KDF, error) {
	var n, r, p int
	if !s.ReadASN1Integer(&n) || !s.ReadASN1Integer(&r) || !s.ReadASN1Integer(&p) || n < 2 || r < 1 || p < 1 {
		return nil, errMalformed
	}
	const unit = 128 // octets that N and r count
	if n > maxMemory/unit || r > maxMemory/unit/n || p > maxMemory/unit/r || p > maxIterations/(n*r) {
		return nil, fmt.Errorf("%w: scrypt with N %d, r %d, p %d; re-encrypt the file with smaller parameters", errWork, n, r, p)
	}
	k := &KDF{}
	if s.PeekASN1Tag(cryptobyte_asn1.INTEGER) && (!s.ReadASN1Integer(&k.Length) || k.Length < 1 || k.Length > maxKey) {
		return nil, errMalformed
	}
	k.derive = func(password string, size int) ([]byte, error) {
		if err := b.spend(n * r * p); err != nil {
			return nil, err
		}
		key, err := scrypt.Key([]byte(password), salt, n, r, p, size)
		if err != nil {
			return nil, errMalformed // N is no power of two
		}
		return key, nil
	}
	return k, nil
}

// readAlgorithm reads an AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
func readAlgorithm(s *cryptobyte.String) (id asn1.ObjectIdentifier, params cryptobyte.String, err error) {
	if !s.ReadASN1(&params, cryptobyte_asn1.SEQUENCE) || !params.ReadASN1ObjectIdentifier(&id) {
		return nil, nil, errMalformed
	}
	return id, params, nil
}
