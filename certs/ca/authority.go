// Package ca is the built-in certificate authority: it makes a root and an
// issuing authority below it, issues certificates for mail, and revokes them.
//
// There are two authorities because they have different lives. Partners are given
// the root, once, and keep it for twenty years; its key is needed only when it
// certifies an issuing authority or renews its own revocation list, and may lie in
// a safe in between. The issuing authority works in the gateway; when its machine
// is broken into it is revoked and replaced, and no partner has to do anything. The
// Baseline Requirements ask for the same (section 6.1.7: a root does not sign
// subscribers' certificates).
//
// What is issued follows the CA/Browser Forum's Baseline Requirements for S/MIME
// certificates, mailbox-validated, multipurpose or strict: sections that are cited
// as "BR" are theirs. The package computes and keeps nothing: what was issued and
// revoked is in a Ledger.
package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Ledger remembers what an authority did. issuer is the DER of the authority's
// name; an error means that nothing was noted.
type Ledger interface {
	// Issued notes a certificate before it is handed out.
	Issued(ctx context.Context, cert *x509.Certificate) error
	// IssuedSince counts the certificates noted since a time.
	IssuedSince(ctx context.Context, issuer []byte, at time.Time) (int, error)
	// Revoke notes that a certificate is not valid any more. Doing it a second time
	// changes nothing. A certificate that was never issued is an error.
	Revoke(ctx context.Context, issuer []byte, serial *big.Int, at time.Time, reason int) error
	// Revoked returns the revoked certificates that end after a time.
	Revoked(ctx context.Context, issuer []byte, endsAfter time.Time) ([]x509.RevocationListEntry, error)
	// NextCRLNumber returns a number greater than all before it.
	NextCRLNumber(ctx context.Context, issuer []byte) (int64, error)
	// KeepCRL keeps a list unless one with a greater number is kept; CRL returns
	// the one kept, nil where there is none.
	KeepCRL(ctx context.Context, issuer []byte, number int64, der []byte) error
	CRL(ctx context.Context, issuer []byte) ([]byte, error)
}

// Config describes an authority that is there already.
type Config struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Chain are the authorities above, next first, without the root.
	Chain  []*x509.Certificate
	Ledger Ledger
	// Place is where its list and its certificate are published.
	Place Place
	// Profile is Multipurpose where "".
	Profile Profile
	// OCSP says that the status of certificates can be asked for at Place, and has what is
	// issued say so.
	OCSP bool
	// CRLValidity is how long a revocation list is good for; 0 is a week.
	CRLValidity time.Duration
	// Generate makes the keys that are certified; nil makes them in memory.
	Generate func(kind string) (PrivateKey, error)
	Clock    func() time.Time // nil is time.Now
}

// Authority issues and revokes. It is safe for concurrent use where its Ledger
// is.
type Authority struct{ Config }

const (
	// backdate lets partners whose clocks are slow accept a new certificate at once.
	backdate = 5 * time.Minute
	// defaultCRLValidity goes with BR 4.9.7: a list at least every seven days, good
	// for at most ten.
	defaultCRLValidity = 7 * 24 * time.Hour
)

// New checks that an authority can issue and returns it.
func New(c Config) (*Authority, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Profile == "" {
		c.Profile = Multipurpose
	}
	if c.Generate == nil {
		c.Generate = GenerateKey
	}
	if c.CRLValidity <= 0 {
		c.CRLValidity = defaultCRLValidity
	}
	cert := c.Certificate
	switch {
	case cert == nil || c.Key == nil || c.Ledger == nil:
		return nil, errors.New("authority: certificate, key and ledger are all needed")
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return nil, fmt.Errorf("authority %q: its certificate is not that of an authority (basicConstraints); import one that is", pkix.SubjectString(cert))
	case cert.KeyUsage&x509.KeyUsageCertSign == 0 || cert.KeyUsage&x509.KeyUsageCRLSign == 0:
		return nil, fmt.Errorf("authority %q: its key usage does not let it sign certificates and revocation lists", pkix.SubjectString(cert))
	case len(cert.SubjectKeyId) == 0:
		return nil, fmt.Errorf("authority %q: its certificate has no subject key identifier", pkix.SubjectString(cert))
	case !sameKey(cert.PublicKey, c.Key.Public()):
		return nil, fmt.Errorf("authority %q: the key does not belong to the certificate", pkix.SubjectString(cert))
	}
	if _, err := c.Profile.policy(); err != nil {
		return nil, err
	}
	if err := c.Place.check(); err != nil {
		return nil, err
	}
	return &Authority{c}, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// SelfIssued reports whether cert is its own issuer, as a root is.
func SelfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }

// newSerial returns 127 random bits, the first of them set: positive, of constant
// length, and with far more than the 64 that BR 7.1 asks for.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return n.SetBit(n, 126, 1), nil
}

// keyID returns a key identifier (RFC 7093 section 2, method 1): the first 160
// bits of the SHA-256 of the public key.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := pkix.MarshalKeyInfo(pub)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// certify signs a template.
func certify(t, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	var err error
	if t.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	if t.SubjectKeyId, err = keyID(pub); err != nil {
		return nil, err
	}
	der, err := pkix.CreateCertificate(t, parent, pub, by)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", t.Subject, err)
	}
	return pkix.ParseCertificate(der)
}
