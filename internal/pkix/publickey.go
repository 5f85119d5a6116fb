package pkix

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"

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
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEARSA   = asn1.ObjectIdentifier{2, 5, 8, 1, 1} // the RSA key of X.509, before PKCS #1
	oidRSAPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidX25519  = asn1.ObjectIdentifier{1, 3, 101, 110}
)

// key returns the key, nil if its kind is not supported or it is not well-formed.
func (k KeyInfo) key() crypto.PublicKey {
	id, plain := k.Algorithm, len(k.Parameters) == 0
	var key crypto.PublicKey
	err := errKeyKind
	switch {
	case id.Equal(oidRSA), id.Equal(oidEARSA): // whatever the parameters: they mean nothing, and some forget the NULL
		key, err = rsaKey(k.Bits)
	case id.Equal(oidRSAPSS):
		key, err = pssKey(k)
	case id.Equal(oidECPublicKey):
		key, err = ecKey(k)
	case id.Equal(oidEd25519) && plain && len(k.Bits) == ed25519.PublicKeySize:
		return ed25519.PublicKey(k.Bits)
	case id.Equal(oidX25519) && plain:
		// Where FIPS 140-3 is enforced it is read, and refused by CheckKey.
		fips140.WithoutEnforcement(func() { key, err = ecdh.X25519().NewPublicKey(k.Bits) })
	case mldsaByID(id) != nil && plain: // RFC 9881 section 4
		return mldsaByID(id).key(k.Bits)
	case slhdsaByID(id) != nil && plain: // RFC 9909 section 4
		return slhdsaByID(id).key(k.Bits)
	case kemByID(id) != nil && plain: // RFC 9935 section 4
		return kemByID(id).key(k.Bits)
	}
	if err != nil {
		return nil
	}
	return key
}

var errKeyKind = errors.New("public key: not well-formed, or of a kind that is not supported")

// rsaKey reads RSAPublicKey (RFC 8017 appendix A.1.1). The numbers are positive,
// and some encoders forget the octet that says so.
func rsaKey(der []byte) (*rsa.PublicKey, error) {
	s := cryptobyte.String(der)
	var seq, n, e cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1(&n, cryptobyte_asn1.INTEGER) || !seq.ReadASN1(&e, cryptobyte_asn1.INTEGER) || !seq.Empty() {
		return nil, errKeyKind
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if modulus.Sign() == 0 || exponent.Sign() == 0 || exponent.BitLen() > 62 {
		return nil, errKeyKind
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func pssKey(info KeyInfo) (crypto.PublicKey, error) {
	key, err := rsaKey(info.Bits)
	if err != nil || len(info.Parameters) == 0 {
		return PSSKey{PublicKey: key}, err
	}
	limit, ok := ReadPSS(info.Parameters)
	if !ok {
		return nil, errKeyKind
	}
	return PSSKey{key, &limit}, nil
}

// nist are the curves of the library by their identifiers (RFC 5480 section
// 2.1.1.1).
var nist = []struct {
	id    asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 33}, elliptic.P224()},
}

// RSAKey returns the RSA key that key is, for PSS alone or for all uses; nil if it
// is of another kind.
func RSAKey(key crypto.PublicKey) *rsa.PublicKey {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k
	case PSSKey:
		return k.PublicKey
	}
	return nil
}

// ecKey reads a key on a named curve, its point compressed or not (RFC 5480
// section 2.2), or both at once, as X9.62 has it besides. Explicit parameters are not looked at: RFC 5480 forbids them, and
// they can be chosen so that anyone knows the private key.
func ecKey(info KeyInfo) (crypto.PublicKey, error) {
	params := cryptobyte.String(info.Parameters)
	var id asn1.ObjectIdentifier
	if !params.ReadASN1ObjectIdentifier(&id) || !params.Empty() {
		return nil, errKeyKind
	}
	for _, known := range nist {
		if known.id.Equal(id) {
			return ecdsa.ParseUncompressedPublicKey(known.curve, uncompressed(known.curve, info.Bits))
		}
	}
	for _, c := range brainpoolCurves {
		if c.id.Equal(id) {
			return c.key(info.Bits)
		}
	}
	return nil, errKeyKind
}

// uncompressed returns a point in its long form; what is none stays as it is.
func uncompressed(curve elliptic.Curve, point []byte) []byte {
	if len(point) == 0 || point[0] == 4 {
		return point
	}
	size := (curve.Params().BitSize + 7) / 8
	if isHybrid(point, size) {
		return plainPoint(point)
	}
	x, y := elliptic.UnmarshalCompressed(curve, point)
	if x == nil {
		return point
	}
	long := make([]byte, 1+2*size)
	long[0] = 4
	x.FillBytes(long[1 : 1+size])
	y.FillBytes(long[1+size:])
	return long
}

// isHybrid reports whether a point of two coordinates of size octets says besides,
// and rightly, whether y is odd (X9.62 section 4.3.6).
func isHybrid(point []byte, size int) bool {
	return len(point) == 1+2*size && point[0] == 6|point[2*size]&1
}

// plainPoint returns a hybrid point in the usual form.
func plainPoint(hybrid []byte) []byte {
	point := bytes.Clone(hybrid)
	point[0] = 4
	return point
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
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1(&alg, cryptobyte_asn1.SEQUENCE) {
		return k, false
	}
	id, ok := readOID(&alg)
	if !ok || !seq.ReadASN1BitStringAsBytes(&k.Bits) || !seq.Empty() {
		return k, false
	}
	k.Algorithm = saturated(id)
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
	return Identifier(crypto.SHA1, info.Bits)
}
