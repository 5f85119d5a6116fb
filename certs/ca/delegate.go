package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"time"

	internal "github.com/smimerelay/smimerelay/internal/pkix"
)

// delegateValidity is how long a delegate for OCSP may sign. It cannot be revoked: it
// replaces itself instead.
const delegateValidity = 7 * 24 * time.Hour

// oidNoCheck is id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// Delegate makes a key and certifies it to sign OCSP responses for the authority (RFC 6960
// section 4.2.2.2), for a week. The certificate is for no other use, and is not noted in
// the ledger: nothing ever asks for its status.
func (a *Authority) Delegate() (*x509.Certificate, crypto.Signer, error) {
	kind, err := delegateKind(a.Key.Public())
	if err != nil {
		return nil, nil, err
	}
	key, err := authorityKey(kind)
	if err != nil {
		return nil, nil, err
	}
	from, until, err := a.validity(Request{Validity: delegateValidity})
	if err != nil {
		return nil, nil, err
	}
	parent := a.Config.Certificate.Subject
	t := &x509.Certificate{
		Subject:   pkix.Name{Country: parent.Country, Organization: parent.Organization, CommonName: shorten(parent.CommonName, 58) + " OCSP"},
		NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}},
	}
	cert, err := certify(t, a.Config.Certificate, key.Public(), a.Key)
	return cert, key, err
}

var errDelegate = errors.New("OCSP: no responder can be made for an authority with this kind of key; use RSA, P-256, P-384 or ML-DSA, or set ca.ocsp = false")

// delegateKind returns a kind of key that signs with the algorithm of the authority's own.
func delegateKind(authority crypto.PublicKey) (string, error) {
	switch k := authority.(type) {
	case *rsa.PublicKey:
		return "rsa2048", nil
	case *ecdsa.PublicKey:
		if kind := map[string]string{"P-256": "p256", "P-384": "p384"}[k.Curve.Params().Name]; kind != "" {
			return kind, nil
		}
	case *internal.MLDSAKey:
		return internal.KeyKind(k), nil
	}
	return "", errDelegate
}
