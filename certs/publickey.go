package certs

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// crypto/x509 reads neither of these, nor X25519 (RFC 8410): pssKey is an RSA
// key that makes RSASSA-PSS signatures only (RFC 4055 section 1.2), kemKey one of
// ML-KEM (RFC 9935).
type (
	pssKey struct{ *rsa.PublicKey }
	kemKey struct{ name string }
)

var (
	oidRSAPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidX25519    = asn1.ObjectIdentifier{1, 3, 101, 110}
	oidMLKEM512  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 1}
	oidMLKEM768  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2}
	oidMLKEM1024 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3}
)

// publicKey returns the key of c, nil if its kind is not known.
func publicKey(c *x509.Certificate) crypto.PublicKey {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	id, bits, ok := keyInfo(c.RawSubjectPublicKeyInfo)
	switch {
	case !ok:
		return nil
	case id.Equal(oidRSAPSS):
		if key, err := x509.ParsePKCS1PublicKey(bits); err == nil {
			return pssKey{key}
		}
	case id.Equal(oidX25519):
		if key, err := ecdh.X25519().NewPublicKey(bits); err == nil {
			return key
		}
	case id.Equal(oidMLKEM512):
		return kemKey{"ML-KEM-512"}
	case id.Equal(oidMLKEM768):
		return kemKey{"ML-KEM-768"}
	case id.Equal(oidMLKEM1024):
		return kemKey{"ML-KEM-1024"}
	}
	return nil
}

// keyInfo takes a SubjectPublicKeyInfo apart.
func keyInfo(der []byte) (asn1.ObjectIdentifier, []byte, bool) {
	s := cryptobyte.String(der)
	var seq, alg cryptobyte.String
	var id asn1.ObjectIdentifier
	var bits []byte
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.ReadASN1(&alg, cryptobyte_asn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&id) || !seq.ReadASN1BitStringAsBytes(&bits) {
		return nil, nil, false
	}
	return id, bits, true
}

// Sizes of RSA keys, in bits. Below, a key can be broken; above, its operations
// take so long that a message can keep us busy.
const (
	minRSA = 2048
	maxRSA = 8192
)

// checkKey judges the key of c.
func (v *Validator) checkKey(c *x509.Certificate) *problem {
	switch key := publicKey(c).(type) {
	case *rsa.PublicKey:
		return v.checkRSA(c, key)
	case pssKey:
		return v.checkRSA(c, key.PublicKey)
	case *ecdsa.PublicKey:
		if key.Params().BitSize < 256 {
			return refuse(WeakKey, c, "curve %s is below 256 bits", key.Params().Name)
		}
		return nil
	case ed25519.PublicKey, *ecdh.PublicKey:
		return nil
	case kemKey:
		if key.name == "ML-KEM-512" {
			return refuse(UnsupportedKey, c, "%s is not supported", key.name)
		}
		return nil
	}
	return refuse(UnsupportedKey, c, "its kind of key is not supported")
}

func (v *Validator) checkRSA(c *x509.Certificate, key *rsa.PublicKey) *problem {
	low := minRSA
	if v.cfg.AllowRSA1024 {
		low = 1024
	}
	switch n := key.N.BitLen(); {
	case n < low:
		return refuse(WeakKey, c, "RSA key of %d bits is below %d", n, low)
	case n > maxRSA:
		return refuse(UnsupportedKey, c, "RSA key of %d bits is over %d", n, maxRSA)
	case key.E < 3 || key.E&1 == 0:
		return refuse(WeakKey, c, "RSA exponent %d", key.E)
	}
	return nil
}
