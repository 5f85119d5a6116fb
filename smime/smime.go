// Package smime turns messages into S/MIME messages and back (RFC 8551): it
// signs, encrypts, decrypts and verifies. It knows messages, keys and
// certificates, and no SMTP.
package smime

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/message"
)

// SignOptions choose how to sign. The zero value is a clear signature with
// SHA-256 and, for RSA keys, PKCS #1 v1.5.
type SignOptions struct {
	// Opaque asks for application/pkcs7-mime instead of multipart/signed.
	Opaque bool
	// Digest is "sha-256", "sha-384" or "sha-512"; "" is the key's default.
	Digest string
	// Signature is "pkcs1" or "pss", for RSA keys; "" is "pkcs1".
	Signature string
	// Time is the signing time.
	Time time.Time
}

// EncryptOptions choose how to encrypt. The zero value is AES-256-CBC with, for
// RSA keys, PKCS #1 v1.5 key transport.
type EncryptOptions struct {
	// Cipher is one of the names of the command line: "aes-256-cbc", ...
	Cipher string
	// KeyTransport is "pkcs1" or "oaep", for RSA keys; "" is "pkcs1".
	KeyTransport string
}

// Sign returns m signed by id. The content is made 7-bit safe first (RFC 8551
// section 3.1); what cannot be is signed opaque.
func Sign(m *message.Message, id *certs.Identity, o SignOptions) (*message.Message, error) {
	return nil, nil
}

// Encrypt returns m encrypted to the certificates.
func Encrypt(m *message.Message, to []*x509.Certificate, o EncryptOptions) (*message.Message, error) {
	return nil, nil
}

// OpenOptions say what Open may use.
type OpenOptions struct {
	// Keys decrypt; nil: nothing is decrypted.
	Keys certs.Keys
	// Checker judges the signers; nil: the chain is not checked.
	Checker certs.Checker
	// Revocation and At are passed to the Checker.
	Revocation certs.RevocationMode
	At         time.Time
	// MaxLayers limits nesting; 0 is 6.
	MaxLayers int
}

// Opened is what Open found.
type Opened struct {
	// Message is the message to deliver: with what could be decrypted brought
	// to the surface, or the very message given where nothing was.
	Message *message.Message
	// Decrypted says that Message differs from what was given.
	Decrypted bool
	Report    Report
}

// Open decrypts and verifies m, layer by layer. It does not fail: what is wrong
// with the message is said in the report, and the message is then the one given.
func Open(ctx context.Context, m *message.Message, o OpenOptions) *Opened { return nil }

// Report is what `verify --json` prints.
type Report struct {
	Result     certs.Result `json:"result"`
	Reason     string       `json:"reason"`
	Layers     []string     `json:"layers"` // outermost first: "enveloped", "signed", ...
	Signers    []Signer     `json:"signers"`
	Encryption *Encryption  `json:"encryption,omitempty"`
}

// Signer is the result for one signer.
type Signer struct {
	Result      certs.Result `json:"result"`
	Reason      string       `json:"reason"`
	Addresses   []string     `json:"addresses"`
	Subject     string       `json:"subject"`
	Issuer      string       `json:"issuer"`
	Serial      string       `json:"serial"` // lower-case hexadecimal
	SHA256      string       `json:"sha256"`
	SigningTime *time.Time   `json:"signing_time,omitempty"` // claimed by the signer
	Digest      string       `json:"digest"`
	Signature   string       `json:"signature"`
	Chain       string       `json:"chain"`
	Revocation  string       `json:"revocation"`
	// Certificate is the signer's, nil if it was not found.
	Certificate *x509.Certificate `json:"-"`
}

// Encryption describes the outermost encrypted layer.
type Encryption struct {
	Cipher        string `json:"cipher"`
	Authenticated bool   `json:"authenticated"`
	Recipients    int    `json:"recipients"`
}
