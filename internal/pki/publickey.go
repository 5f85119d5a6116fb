package pki

import (
	"crypto"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PSSKey is an RSA key for RSASSA-PSS signatures alone (RFC 4055 section 1.2),
// with the digest and the least salt that its parameters allow; nil Limit is no
// limit.
type PSSKey struct {
	*rsa.PublicKey
	Limit *PSS
}

var (
	oidRSAPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidX25519    = asn1.ObjectIdentifier{1, 3, 101, 110}
	oidMLKEM768  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2}
	oidMLKEM1024 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3}
)

// PublicKey returns the key of c, nil if its kind is not supported: what
// crypto/x509 reads, and PSSKey, *ecdh.PublicKey (X25519, RFC 8410) and
// *mlkem.EncapsulationKey768 or 1024 (RFC 9935).
func PublicKey(c *x509.Certificate) crypto.PublicKey {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	info, ok := ReadKeyInfo(c.RawSubjectPublicKeyInfo)
	if !ok {
		return nil
	}
	var key crypto.PublicKey
	var err error
	switch {
	case info.Algorithm.Equal(oidRSAPSS):
		return pssKey(info)
	case info.Algorithm.Equal(oidX25519):
		key, err = ecdh.X25519().NewPublicKey(info.Bits)
	case info.Algorithm.Equal(oidMLKEM768):
		key, err = mlkem.NewEncapsulationKey768(info.Bits)
	case info.Algorithm.Equal(oidMLKEM1024):
		key, err = mlkem.NewEncapsulationKey1024(info.Bits)
	}
	if err != nil {
		return nil
	}
	return key
}

func pssKey(info KeyInfo) crypto.PublicKey {
	rsaKey, err := x509.ParsePKCS1PublicKey(info.Bits)
	if err != nil {
		return nil
	}
	key := PSSKey{PublicKey: rsaKey}
	if len(info.Parameters) > 0 {
		limit, ok := ReadPSS(info.Parameters)
		if !ok {
			return nil
		}
		key.Limit = &limit
	}
	return key
}

// KeyInfo is a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
type KeyInfo struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters []byte // DER, empty where absent
	Bits       []byte // the subjectPublicKey
}

// ReadKeyInfo takes a SubjectPublicKeyInfo apart.
func ReadKeyInfo(der []byte) (k KeyInfo, ok bool) {
	s := cryptobyte.String(der)
	var seq, alg cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.ReadASN1(&alg, cryptobyte_asn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&k.Algorithm) || !seq.ReadASN1BitStringAsBytes(&k.Bits) {
		return k, false
	}
	k.Parameters = alg
	return k, true
}

// ComputedKeyID returns the key identifier that is computed of the key of c where
// none is written down (RFC 5280 section 4.2.1.2, method 1); nil if the key is
// not well-formed.
func ComputedKeyID(c *x509.Certificate) []byte {
	info, ok := ReadKeyInfo(c.RawSubjectPublicKeyInfo)
	if !ok {
		return nil
	}
	sum := sha1.Sum(info.Bits)
	return sum[:]
}
