package file

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.mozilla.org/pkcs7"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	own "github.com/smimerelay/smimerelay/certs/internal/pkcs12"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// PKCS12 is a way of writing PKCS #12.
type PKCS12 int

// The ways. Modern is PBES2 with AES-256 and HMAC-SHA-256, which OpenSSL from
// 1.1.1, NSS, Java from 12 and Windows from 2019 read. Legacy is Triple DES with
// SHA-1, for those that do not; only its password protects such a file, and that
// badly.
const (
	Modern PKCS12 = iota
	Legacy
)

// exportIterations is the work of a password in what we write. It makes a good
// password better, not a bad one good, and every reader can still do it.
const exportIterations = 100_000

// minPassword is the least number of characters of a password that is used
// without being forced.
const minPassword = 8

var errPKCS12Key = errors.New("a PKCS #12 file in the legacy form cannot hold an ML-DSA or ML-KEM key; use the modern form, or export PEM")

var errPasswordForm = errors.New("PKCS #12 cannot hold this password: it is not UTF-8, or has characters beyond 16 bits, such as emoji; use another one, or export PEM")

// CheckPassword refuses a password that is empty or shorter than eight characters.
func CheckPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n == 0:
		return errors.New("weak password: it is empty")
	case n < minPassword:
		return fmt.Errorf("weak password: it has %d characters, and at least %d are wanted", n, minPassword)
	}
	return nil
}

// EncodePKCS12 writes an identity with its chain as PKCS #12 (RFC 7292). It fails
// for a key that is in a token, and for a password that the format cannot hold.
func EncodePKCS12(id *certs.Identity, password string, how PKCS12) ([]byte, error) {
	if err := checkExportable(id.Key); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(password, func(r rune) bool { return r > 0xffff }) || !utf8.ValidString(password) {
		return nil, errPasswordForm
	}
	if !pkix.LibraryKey(id.Key) {
		return encodePostQuantum(id, password, how)
	}
	encoder := pkcs12.Modern2023
	if how == Legacy {
		encoder = pkcs12.LegacyDES
	}
	if how == Legacy && fips140.Enforced() {
		return nil, fmt.Errorf("PKCS #12 with Triple DES and SHA-1 is %s; use the modern form", pkix.NotApproved)
	}
	var der []byte
	var err error
	// In the modern form SHA-1 only makes a name for the key.
	fips140.WithoutEnforcement(func() {
		der, err = encoder.WithIterations(exportIterations).Encode(id.Key, id.Certificate, id.Chain, password)
	})
	if err != nil {
		return nil, fmt.Errorf("PKCS #12 of %q: %w", pkix.Label(id.Certificate), err)
	}
	return der, nil
}

// encodePostQuantum writes what go-pkcs12 cannot: keys of ML-DSA and ML-KEM, which no
// program knows that needs the legacy form.
func encodePostQuantum(id *certs.Identity, password string, how PKCS12) ([]byte, error) {
	if how == Legacy {
		return nil, errPKCS12Key
	}
	key, err := pkix.MarshalPrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("private key of %q: %w", pkix.Label(id.Certificate), err)
	}
	defer clear(key)
	der, err := own.Encode(key, append([]*x509.Certificate{id.Certificate}, id.Chain...), password, exportIterations)
	if err != nil {
		return nil, fmt.Errorf("PKCS #12 of %q: %w", pkix.Label(id.Certificate), err)
	}
	return der, nil
}

// EncodePEM writes the key as PKCS #8 under the password, the certificate and the
// chain as PEM. With an empty password the key is not encrypted.
func EncodePEM(id *certs.Identity, password string) ([]byte, error) {
	if err := checkExportable(id.Key); err != nil {
		return nil, err
	}
	der, err := pkix.MarshalPrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("private key of %q: %w", pkix.Label(id.Certificate), err)
	}
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	if password != "" {
		if block.Bytes, err = pbe.SealKey(der, password, exportIterations); err != nil {
			return nil, fmt.Errorf("private key of %q: %w", pkix.Label(id.Certificate), err)
		}
		block.Type = encryptedKey
	}
	return append(pem.EncodeToMemory(block), EncodeCertificates(append([]*x509.Certificate{id.Certificate}, id.Chain...))...), nil
}

// EncodeCertificates writes certificates as PEM, in order.
func EncodeCertificates(list []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// checkExportable refuses a key that is not at hand as a value.
func checkExportable(key crypto.PrivateKey) error {
	if pkix.Exportable(key) {
		return nil
	}
	return errors.New("the private key cannot be exported: it stays where it is, in a token for example")
}

// EncodeBundle writes certificates as certs-only CMS in DER (RFC 8551 section
// 3.8), as in .p7b.
func EncodeBundle(list []*x509.Certificate) ([]byte, error) {
	var all []byte
	for _, c := range list {
		all = append(all, c.Raw...)
	}
	return pkcs7.DegenerateCertificate(all)
}
