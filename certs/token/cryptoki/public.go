//go:build cgo

package cryptoki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"

	"github.com/miekg/pkcs11"
)

// describe reads what a private key is, and its public half; nil where that
// cannot be had.
func (s *session) describe(h pkcs11.ObjectHandle) (k private, public crypto.PublicKey, err error) {
	v, err := s.attributes(h, pkcs11.CKA_ID, pkcs11.CKA_LABEL, pkcs11.CKA_KEY_TYPE, pkcs11.CKA_ALWAYS_AUTHENTICATE,
		pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT)
	if err != nil {
		return k, nil, err
	}
	k = private{id: v[0], label: v[1], kind: number(v[2]), always: len(v[3]) == 1 && v[3][0] != 0}
	if k.kind == pkcs11.CKK_RSA && len(v[4]) > 0 && len(v[5]) > 0 {
		return k, rsaPublic(v[4], v[5]), nil
	}
	public, err = s.publicHalf(k)
	return k, public, err
}

// number reads a CK_ULONG, which has the octets of this machine.
func number(b []byte) uint {
	n := uint(0)
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint(b[i])
	}
	return n
}

// publicHalf reads the public key object that goes with a private key.
func (s *session) publicHalf(k private) (crypto.PublicKey, error) {
	if len(k.id) == 0 {
		return nil, nil
	}
	found, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, k.kind), pkcs11.NewAttribute(pkcs11.CKA_ID, k.id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	v, err := s.attributes(found[0], pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT, pkcs11.CKA_EC_PARAMS, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	if k.kind == pkcs11.CKK_RSA {
		return rsaPublic(v[0], v[1]), nil
	}
	return ecPublic(v[2], v[3]), nil
}

func rsaPublic(n, e []byte) crypto.PublicKey {
	exponent := new(big.Int).SetBytes(e)
	if len(n) == 0 || exponent.BitLen() > 31 {
		return nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
}

// ecPublic reads a point, in an OCTET STRING or, as some tokens have it, bare.
func ecPublic(params, point []byte) crypto.PublicKey {
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(params, &curve); err != nil {
		return nil
	}
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	for oid, c := range map[string]elliptic.Curve{
		"1.2.840.10045.3.1.7": elliptic.P256(), "1.3.132.0.34": elliptic.P384(), "1.3.132.0.35": elliptic.P521(),
	} {
		if curve.String() == oid {
			if k, err := ecdsa.ParseUncompressedPublicKey(c, point); err == nil {
				return k
			}
		}
	}
	return nil
}
