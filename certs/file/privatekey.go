package file

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// maxKeyOctets limits a private key before it is looked at: an RSA key of 8192
// bits has 4,700 octets.
const maxKeyOctets = 8 << 10

var (
	errKeySize       = fmt.Errorf("an RSA key over %d bits is not used; have a smaller one certified", pkix.MaxRSA)
	errOldEncryption = errors.New("traditional PEM encryption is not supported; re-encrypt it: openssl pkcs8 -topk8 -in FILE -out NEW")
	errKeyKind       = errors.New("not well-formed, or of a kind that is not supported: RSA, P-256, P-384, P-521, Ed25519, X25519, ML-DSA and ML-KEM are")
)

// The block type of a private key under a password (RFC 7468 section 11).
const encryptedKey = "ENCRYPTED PRIVATE KEY"

// isKeyBlock reports whether a PEM block holds a private key.
func isKeyBlock(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

// parseKey returns the private key of a PEM block.
func parseKey(b *pem.Block, password string, budget *pbe.Budget) (crypto.PrivateKey, error) {
	if b.Headers["DEK-Info"] != "" {
		return nil, errOldEncryption
	}
	if len(b.Bytes) > maxKeyOctets {
		return nil, errKeySize
	}
	switch b.Type {
	case "PRIVATE KEY":
		return parsePKCS8(b.Bytes)
	case "RSA PRIVATE KEY":
		return checkedKey(x509.ParsePKCS1PrivateKey(b.Bytes))
	case "EC PRIVATE KEY":
		return checkedKey(x509.ParseECPrivateKey(b.Bytes))
	case encryptedKey:
		der, err := pbe.OpenKey(b.Bytes, pbe.Forms(password), budget)
		if err != nil {
			return nil, err
		}
		return parsePKCS8(der)
	}
	return nil, errKeyKind
}

// parsePKCS8 reads a PrivateKeyInfo (RFC 5958 section 2).
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	if len(der) > maxKeyOctets {
		return nil, errKeySize
	}
	return checkedKey(pkix.ParsePrivateKey(der))
}

// checkedKey has the last word on what a parser made. What the parser says is not
// repeated: there is no guarantee that it never quotes the key.
func checkedKey[K crypto.PrivateKey](key K, err error) (crypto.PrivateKey, error) {
	if err != nil {
		return nil, errKeyKind
	}
	if k, ok := any(key).(*rsa.PrivateKey); ok && k.N.BitLen() > pkix.MaxRSA {
		return nil, errKeySize
	}
	return key, nil
}
