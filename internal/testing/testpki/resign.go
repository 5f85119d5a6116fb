package testpki

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// placeholder stands in for a public key that crypto/x509 reads but does not
// certify, such as X25519.
var placeholder = ed25519.PublicKey(make([]byte, ed25519.PublicKeySize))

// subjectPublicKeyInfo is the position of that field in a TBSCertificate with
// a version (RFC 5280 section 4.1).
const subjectPublicKeyInfo = 6

// withPublicKey returns cert with another SubjectPublicKeyInfo, signed again.
func withPublicKey(cert *x509.Certificate, info []byte, key crypto.Signer) (*x509.Certificate, error) {
	var tbs []asn1.RawValue
	if _, err := asn1.Unmarshal(cert.RawTBSCertificate, &tbs); err != nil {
		return nil, fmt.Errorf("to-be-signed certificate: %w", err)
	}
	tbs[subjectPublicKeyInfo] = asn1.RawValue{FullBytes: info}
	return Resign(cert, tbs, key)
}

// Resign makes a certificate from the elements of a TBSCertificate, signed with
// key and the algorithm of like. It does not look at the elements, so that
// hostile certificates can be made.
func Resign(like *x509.Certificate, tbs []asn1.RawValue, key crypto.Signer) (*x509.Certificate, error) {
	raw, err := asn1.Marshal(tbs)
	if err != nil {
		return nil, fmt.Errorf("to-be-signed certificate: %w", err)
	}
	sig, err := signature(like.SignatureAlgorithm, raw, key)
	if err != nil {
		return nil, err
	}
	var old []asn1.RawValue
	if _, err := asn1.Unmarshal(like.Raw, &old); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: raw}, old[1], asn1.BitString{Bytes: sig, BitLength: len(sig) * 8}})
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func signature(alg x509.SignatureAlgorithm, data []byte, key crypto.Signer) ([]byte, error) {
	var hash crypto.Hash
	switch alg {
	case x509.PureEd25519:
		return key.Sign(rand.Reader, data, crypto.Hash(0))
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		hash = crypto.SHA1
	case x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil, errors.New("signature algorithm: not one that can be made")
	}
	h := hash.New()
	h.Write(data)
	var opts crypto.SignerOpts = hash
	switch alg {
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return key.Sign(rand.Reader, h.Sum(nil), opts)
}
