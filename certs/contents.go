package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	"github.com/smimerelay/smimerelay/certs/internal/pkcs12"
	"github.com/smimerelay/smimerelay/internal/pki"
)

var (
	errNotUnderstood = errors.New("neither certificates nor an identity; PEM, DER, PKCS #12, .p7b and .sst are understood")
	errTruncatedPEM  = errors.New("PEM that is truncated or not well-formed; get the file again")
	errTooMany       = fmt.Errorf("more than %d keys or certificates in it; split it", maxObjects)

	// ErrWrongPassword is the error of a file whose private key does not open.
	ErrWrongPassword = pbe.ErrPassword
)

// maxObjects limits the keys and certificates of one PEM file.
const maxObjects = 50_000

// Contents is what a file holds.
type Contents struct {
	// Identities are the private keys, each with its certificate and chain; one
	// key with several certificates is as many identities.
	Identities []*Identity
	// Certificates are all that belong to no identity. The roots beside an
	// identity are left out.
	Certificates []*x509.Certificate
	// Protected reports that the private keys were under the password.
	Protected bool
}

// ReadContents reads everything in a file: PKCS #12, PEM with any number of keys
// (PKCS #8, encrypted or not, PKCS #1, SEC 1) and certificates, or what
// ReadCertificates understands. password may be "". Errors are one line that
// names the file; ErrWrongPassword is among them.
func ReadContents(file, password string) (*Contents, error) {
	data, err := readLimited(file, maxFile)
	if err != nil {
		return nil, err
	}
	c, err := ParseContents(data, password)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", file, err)
	}
	return c, nil
}

// ParseContents is ReadContents for what is in memory.
func ParseContents(data []byte, password string) (*Contents, error) {
	switch {
	case bytes.Contains(data, pemBegin):
		return parseContentsPEM(data, password)
	case isPKCS12(data):
		return parsePKCS12(data, password)
	}
	list, err := ParseCertificates(data)
	if err != nil {
		return nil, errNotUnderstood
	}
	return &Contents{Certificates: unique(list)}, nil
}

// isPKCS12 reports whether data begins as PKCS #12 does, a SEQUENCE that begins
// with an INTEGER. A certificate has another SEQUENCE there, CMS an OBJECT
// IDENTIFIER.
func isPKCS12(data []byte) bool {
	h, ok := readHeader(data)
	return ok && data[0] == 0x30 && len(data) > h.size && data[h.size] == 0x02
}

// MayHoldKeys reports whether data can hold private keys: it is PKCS #12, or PEM
// with one.
func MayHoldKeys(data []byte) bool {
	return isPKCS12(data) || bytes.Contains(data, []byte("PRIVATE KEY-----"))
}

func parsePKCS12(data []byte, password string) (*Contents, error) {
	bags, err := pkcs12.Decode(data, password)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for i, der := range bags.Certificates {
		cert, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %w", i+1, err)
		}
		list = append(list, cert)
	}
	var keys []namedKey
	for i, k := range bags.Keys {
		key, err := parsePKCS8(k.Info)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyName(i, k.Name), err)
		}
		keys = append(keys, namedKey{key, keyName(i, k.Name)})
	}
	if len(keys)+len(list) == 0 {
		return nil, errors.New("PKCS #12 without a key and without a certificate")
	}
	return newContents(keys, list, bags.Protected && len(keys) > 0)
}

var pemBegin = []byte("-----BEGIN ")

// countBlocks returns how many PEM blocks begin in data, whole or not.
func countBlocks(data []byte) int {
	n := bytes.Count(data, append([]byte("\n"), pemBegin...))
	if bytes.HasPrefix(data, pemBegin) {
		n++
	}
	return n
}

func parseContentsPEM(data []byte, password string) (*Contents, error) {
	var keys []namedKey
	var list []*x509.Certificate
	protected := false
	budget := pbe.NewBudget(pbe.PerFile)
	for blocks := countBlocks(data); blocks > 0; blocks-- {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errTruncatedPEM
		}
		if isKeyBlock(block) {
			protected = protected || block.Type == encryptedKey
			key, err := parseKey(block, password, budget)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", keyName(len(keys), ""), err)
			}
			keys = append(keys, namedKey{key, keyName(len(keys), "")})
		}
		found, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %w", len(list)+1, err)
		}
		if list = append(list, found...); len(list)+len(keys) > maxObjects {
			return nil, errTooMany
		}
	}
	if len(keys)+len(list) == 0 {
		return nil, errNotUnderstood
	}
	return newContents(keys, list, protected)
}
