// Package file reads and writes files of certificates, identities and revocation
// lists: PEM, DER, PKCS #7, PKCS #12 and Microsoft's serialized store. What it
// reads is neither trusted nor judged; that is for package path.
package file

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	"github.com/smimerelay/smimerelay/certs/internal/pkcs12"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

var (
	errNotUnderstood = errors.New("neither certificates nor an identity; PEM, DER, PKCS #12, .p7b and .sst are understood")
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
	Identities []*certs.Identity
	// Certificates are all that belong to no identity. The roots beside an
	// identity are left out.
	Certificates []*x509.Certificate
	// Skipped are the certificates that could not be read.
	Skipped []*SkippedError
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
	case pemfile.Is(data):
		return parseContentsPEM(data, password)
	case isPKCS12(data):
		return parsePKCS12(data, password)
	}
	list, err := ParseCertificates(data)
	if len(list) == 0 {
		return nil, notUnderstood(data, err)
	}
	skipped, _ := Skipped(err)
	return &Contents{Certificates: unique(list), Skipped: skipped}, nil
}

// notUnderstood says why a file without a certificate is refused: by the reason of
// what it begins as.
func notUnderstood(data []byte, err error) error {
	if firstInside(data) == 0x30 || isCMS(data) || isSerializedStore(data) {
		return err
	}
	return errNotUnderstood
}

// isPKCS12 reports whether data begins as PKCS #12 does, a SEQUENCE that begins
// with an INTEGER. A certificate has another SEQUENCE there, CMS an OBJECT
// IDENTIFIER.
func isPKCS12(data []byte) bool { return firstInside(data) == 0x02 }

// isCMS reports whether data begins as a ContentInfo does (RFC 5652 section 3).
func isCMS(data []byte) bool { return firstInside(data) == 0x06 }

// firstInside is the identifier octet of the first element inside a SEQUENCE, of
// definite length or not; 0 for all else.
func firstInside(b []byte) byte {
	if len(b) < 2 || b[0] != 0x30 {
		return 0
	}
	size := 2
	if b[1] > 0x80 {
		size += int(b[1] & 0x7f)
	}
	if len(b) <= size {
		return 0
	}
	return b[size]
}

// MayHoldKeys reports whether data can hold private keys: it is PKCS #12, or PEM
// with one.
func MayHoldKeys(data []byte) bool {
	return isPKCS12(data) || bytes.Contains(pemfile.Text(data), []byte("PRIVATE KEY-----"))
}

func parsePKCS12(data []byte, password string) (*Contents, error) {
	bags, err := pkcs12.Decode(data, password)
	if err != nil {
		return nil, err
	}
	var r reading
	for _, der := range bags.Certificates {
		r.take(pkix.ParseCertificate(der))
	}
	var keys []namedKey
	for i, k := range bags.Keys {
		key, err := parsePKCS8(k.Info)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyName(i, k.Name), err)
		}
		keys = append(keys, namedKey{key, keyName(i, k.Name)})
	}
	if len(keys)+len(r.list)+len(r.skipped) == 0 {
		return nil, errors.New("PKCS #12 without a key and without a certificate")
	}
	return newContents(keys, r, bags.Protected && len(keys) > 0)
}

func parseContentsPEM(data []byte, password string) (*Contents, error) {
	var keys []namedKey
	var r reading
	protected := false
	budget := pbe.NewBudget(pbe.PerFile)
	for block, err := range pemfile.Blocks(data) {
		if err != nil {
			return nil, err
		}
		if isKeyBlock(block) {
			protected = protected || block.Type == encryptedKey
			key, err := parseKey(block, password, budget)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", keyName(len(keys), ""), err)
			}
			keys = append(keys, namedKey{key, keyName(len(keys), "")})
		}
		if parseBlock(block, &r); len(r.list)+len(r.skipped)+len(keys) > maxObjects {
			return nil, errTooMany
		}
	}
	if len(keys)+len(r.list)+len(r.skipped) == 0 {
		return nil, errNotUnderstood
	}
	return newContents(keys, r, protected)
}
