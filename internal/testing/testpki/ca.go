package testpki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Options describe a certificate authority. The zero value is a root with a
// P-256 key, valid from an hour ago for five years.
type Options struct {
	// Name is the common name; "" is "Test CA".
	Name string
	// Subject replaces the name made of Name where it is not nil.
	Subject *pkix.Name
	// Key is the kind of key: rsa1024, rsa2048, rsa3072, rsa4096, p224, p256,
	// p384, p521, ed25519. "" is p256.
	Key string
	// Serial is random where nil.
	Serial              *big.Int
	NotBefore, NotAfter time.Time
	// Signature is chosen by the issuer's key where it is zero.
	Signature x509.SignatureAlgorithm
	// PathLen is the path length constraint plus one: 0 is none, 1 forbids
	// intermediates below.
	PathLen int
	// Name constraints for mail (RFC 5280 section 4.2.1.10).
	PermittedEmails, ExcludedEmails []string
	// ExtKeyUsage limits the authority; nil is no limit.
	ExtKeyUsage []x509.ExtKeyUsage
	// URLs for CRLs, OCSP and the issuer's certificate.
	CRLs, OCSP, Issuers []string
	// Edit changes the template last.
	Edit func(*x509.Certificate)
}

// CA is a certificate authority with its key.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Chain holds the authorities above, without the root, next first; for an
	// intermediate it begins with Certificate itself.
	Chain []*x509.Certificate
	// Root is the trust anchor.
	Root *x509.Certificate

	keys *keyring
}

const (
	backdate = time.Hour
	lifetime = 5 * 365 * 24 * time.Hour
)

// NewCA makes a self-signed root.
func NewCA(o Options) (*CA, error) {
	keys := newKeyring()
	key, err := signerKey(keys, o.Key)
	if err != nil {
		return nil, err
	}
	t, err := authorityTemplate(o)
	if err != nil {
		return nil, err
	}
	cert, err := sign(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: cert, Key: key, Root: cert, keys: keys}, nil
}

// Intermediate makes an authority below ca. Its validity is that of ca where o
// gives none.
func (ca *CA) Intermediate(o Options) (*CA, error) {
	key, err := signerKey(ca.keys, o.Key)
	if err != nil {
		return nil, err
	}
	cert, err := ca.certify(o, key.Public())
	if err != nil {
		return nil, err
	}
	sub := &CA{Certificate: cert, Key: key, Root: ca.Root, keys: ca.keys}
	sub.Chain = append([]*x509.Certificate{cert}, ca.Chain...)
	return sub, nil
}

// CrossSign certifies the name and the key of other by ca.
func (ca *CA) CrossSign(other *CA, o Options) (*x509.Certificate, error) {
	o.Subject = &other.Certificate.Subject
	return ca.certify(o, other.Certificate.PublicKey)
}

func (ca *CA) certify(o Options, pub crypto.PublicKey) (*x509.Certificate, error) {
	if o.NotBefore.IsZero() {
		o.NotBefore = ca.Certificate.NotBefore
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = ca.Certificate.NotAfter
	}
	t, err := authorityTemplate(o)
	if err != nil {
		return nil, err
	}
	return sign(t, ca.Certificate, pub, ca.Key)
}

func authorityTemplate(o Options) (*x509.Certificate, error) {
	serial, err := serialOr(o.Serial)
	if err != nil {
		return nil, err
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-backdate)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = o.NotBefore.Add(lifetime)
	}
	t := &x509.Certificate{
		SerialNumber:            serial,
		Subject:                 authorityName(o),
		NotBefore:               o.NotBefore,
		NotAfter:                o.NotAfter,
		SignatureAlgorithm:      o.Signature,
		KeyUsage:                x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:             o.ExtKeyUsage,
		BasicConstraintsValid:   true,
		IsCA:                    true,
		MaxPathLen:              o.PathLen - 1,
		MaxPathLenZero:          o.PathLen == 1,
		PermittedEmailAddresses: o.PermittedEmails,
		ExcludedEmailAddresses:  o.ExcludedEmails,
		CRLDistributionPoints:   o.CRLs,
		OCSPServer:              o.OCSP,
		IssuingCertificateURL:   o.Issuers,
	}
	t.PermittedDNSDomainsCritical = len(o.PermittedEmails)+len(o.ExcludedEmails) > 0
	if o.Edit != nil {
		o.Edit(t)
	}
	return t, nil
}

func authorityName(o Options) pkix.Name {
	switch {
	case o.Subject != nil:
		return *o.Subject
	case o.Name == "":
		return pkix.Name{CommonName: "Test CA"}
	}
	return pkix.Name{CommonName: o.Name}
}

func signerKey(keys *keyring, kind string) (crypto.Signer, error) {
	key, err := keys.generate(kind)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %q: cannot sign, so it cannot be an authority's", kind)
	}
	return signer, nil
}

func sign(t, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", t.Subject, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", t.Subject, err)
	}
	return cert, nil
}

func serialOr(serial *big.Int) (*big.Int, error) {
	if serial != nil {
		return serial, nil
	}
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, errors.New("serial number: no random bytes")
	}
	return n.SetBit(n, 120, 1), nil
}

// Must returns v, or panics with err: for tests, where making a certificate can
// only fail by a mistake in the test.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
