//go:build cgo

package softhsmtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"github.com/miekg/pkcs11"
)

// Public is the public half of a key in a token, to make certificates for it.
type Public struct{ Half crypto.PublicKey }

// Public returns the half, as private keys do.
func (p Public) Public() crypto.PublicKey { return p.Half }

// generate makes a key pair whose private half stays in the token.
func (s *Session) generate(mechanism uint, id, label string, public, private []*pkcs11.Attribute) pkcs11.ObjectHandle {
	s.t.Helper()
	names := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_ID, id), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}
	private = append(append(private, names...),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))
	public = append(append(public, names...), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	pub, _, err := s.GenerateKeyPair(s.SessionHandle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	must(s.t, err)
	return pub
}

// RSA makes an RSA key of 2048 bits that signs and decrypts.
func (s *Session) RSA(id, label string) Public {
	s.t.Helper()
	pub := s.generate(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, id, label, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 2048),
		pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
	}, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)})
	n := s.Value(pub, pkcs11.CKA_MODULUS)
	return Public{&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}}
}

// curves are the object identifiers of the NIST curves.
var curves = map[elliptic.Curve]asn1.ObjectIdentifier{
	elliptic.P256(): {1, 2, 840, 10045, 3, 1, 7},
	elliptic.P384(): {1, 3, 132, 0, 34},
	elliptic.P521(): {1, 3, 132, 0, 35},
}

// EC makes a key on a NIST curve that signs and agrees on keys.
func (s *Session) EC(curve elliptic.Curve, id, label string) Public {
	s.t.Helper()
	oid, err := asn1.Marshal(curves[curve])
	must(s.t, err)
	pub := s.generate(pkcs11.CKM_EC_KEY_PAIR_GEN, id, label,
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oid)},
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true)})
	var point []byte
	_, err = asn1.Unmarshal(s.Value(pub, pkcs11.CKA_EC_POINT), &point)
	must(s.t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	must(s.t, err)
	return Public{public}
}

// Put writes a certificate into the token.
func (s *Session) Put(id, label string, cert *x509.Certificate) {
	s.t.Helper()
	_, err := s.CreateObject(s.SessionHandle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_SUBJECT, cert.RawSubject),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE, cert.Raw),
	})
	must(s.t, err)
}

// Find returns the objects of a class.
func (s *Session) Find(class uint) []pkcs11.ObjectHandle {
	s.t.Helper()
	must(s.t, s.FindObjectsInit(s.SessionHandle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}))
	found, _, err := s.FindObjects(s.SessionHandle, 100)
	must(s.t, err)
	must(s.t, s.FindObjectsFinal(s.SessionHandle))
	return found
}

// Value reads an attribute.
func (s *Session) Value(o pkcs11.ObjectHandle, kind uint) []byte {
	s.t.Helper()
	found, err := s.GetAttributeValue(s.SessionHandle, o, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	must(s.t, err)
	return found[0].Value
}
