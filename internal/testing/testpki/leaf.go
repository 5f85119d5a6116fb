package testpki

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// NoKeyUsage leaves the key usage extension out.
const NoKeyUsage x509.KeyUsage = 1 << 30

// Leaf describes an end entity's certificate. The zero value has no address, a
// P-256 key that signs and agrees, and the purpose emailProtection.
type Leaf struct {
	// Addresses become rfc822Names, those with a local part that is not ASCII
	// SmtpUTF8Mailboxes (RFC 9598). They are written as they are, so that
	// hostile ones can be made.
	Addresses []string
	// UTF8Addresses become SmtpUTF8Mailboxes whatever they hold.
	UTF8Addresses []string
	// SubjectEmail is an emailAddress attribute of the subject.
	SubjectEmail string
	// Name is the common name; "" is the first address.
	Name string
	// Key is a kind of key as in Options, and x25519; "" is p256.
	Key string
	// PrivateKey is used instead of a new one where it is not nil.
	PrivateKey crypto.PrivateKey
	// PublicKeyInfo, a DER SubjectPublicKeyInfo, goes into the certificate
	// instead of the private key's half.
	PublicKeyInfo []byte
	// KeyUsage is by the kind of key where it is zero; NoKeyUsage is none.
	KeyUsage x509.KeyUsage
	// ExtKeyUsage is emailProtection where nil, none where empty.
	ExtKeyUsage []x509.ExtKeyUsage
	// NotBefore and NotAfter are the authority's where zero.
	NotBefore, NotAfter time.Time
	// Serial is random where nil.
	Serial    *big.Int
	Signature x509.SignatureAlgorithm
	// URLs for CRLs, OCSP and the issuer's certificate.
	CRLs, OCSP, Issuers []string
	// Edit changes the template last.
	Edit func(*x509.Certificate)
}

// Identity is a certificate with its chain (without the root) and its key. It
// has the fields of certs.Identity, so that one converts to the other.
type Identity struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
	Key         crypto.PrivateKey
	Pinned      bool
}

// Issue makes a key and a certificate for it.
func (ca *CA) Issue(l Leaf) (*Identity, error) {
	key := l.PrivateKey
	if key == nil {
		var err error
		if key, err = ca.keys.generate(l.Key); err != nil {
			return nil, err
		}
	}
	pub := public(key)
	t, err := ca.leafTemplate(l, pub)
	if err != nil {
		return nil, err
	}
	cert, err := ca.signLeaf(l, t, pub)
	if err != nil {
		return nil, err
	}
	return &Identity{Certificate: cert, Chain: ca.Chain, Key: key}, nil
}

func (ca *CA) signLeaf(l Leaf, t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	info := l.PublicKeyInfo
	if agreement, ok := pub.(*ecdh.PublicKey); ok && info == nil {
		var err error
		if info, err = x509.MarshalPKIXPublicKey(agreement); err != nil {
			return nil, fmt.Errorf("public key of %q: %w", t.Subject, err)
		}
	}
	if info == nil {
		return sign(t, ca.Certificate, pub, ca.Key)
	}
	cert, err := sign(t, ca.Certificate, placeholder, ca.Key)
	if err != nil {
		return nil, err
	}
	return withPublicKey(cert, info, ca.Key)
}

func (ca *CA) leafTemplate(l Leaf, pub crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := serialOr(l.Serial)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               leafName(l),
		NotBefore:             l.NotBefore,
		NotAfter:              l.NotAfter,
		SignatureAlgorithm:    l.Signature,
		KeyUsage:              leafKeyUsage(l.KeyUsage, pub),
		ExtKeyUsage:           l.ExtKeyUsage,
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID(pub),
		CRLDistributionPoints: l.CRLs,
		OCSPServer:            l.OCSP,
		IssuingCertificateURL: l.Issuers,
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = ca.Certificate.NotBefore
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = ca.Certificate.NotAfter
	}
	if l.ExtKeyUsage == nil {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	}
	if err := addAlternativeNames(t, l); err != nil {
		return nil, err
	}
	if l.Edit != nil {
		l.Edit(t)
	}
	return t, nil
}

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func leafName(l Leaf) pkix.Name {
	n := pkix.Name{CommonName: l.Name}
	if n.CommonName == "" && len(l.Addresses) > 0 {
		n.CommonName = l.Addresses[0]
	}
	if l.SubjectEmail != "" {
		n.ExtraNames = []pkix.AttributeTypeAndValue{{
			Type:  oidEmailAddress,
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(l.SubjectEmail)},
		}}
	}
	return n
}

func leafKeyUsage(ku x509.KeyUsage, pub crypto.PublicKey) x509.KeyUsage {
	switch {
	case ku == NoKeyUsage:
		return 0
	case ku != 0:
		return ku
	}
	switch pub.(type) {
	case *rsa.PublicKey:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	case *ecdsa.PublicKey:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	case *ecdh.PublicKey:
		return x509.KeyUsageKeyAgreement
	}
	return x509.KeyUsageDigitalSignature
}
