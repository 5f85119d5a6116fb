package pkix

import (
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
)

var oidECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}

// names of keys and curves that are known and not supported.
var names = []struct {
	id   asn1.ObjectIdentifier
	name string
}{
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 1}, "brainpoolP160r1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 3}, "brainpoolP192r1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 5}, "brainpoolP224r1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 8}, "brainpoolP256t1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 9}, "brainpoolP320r1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 12}, "brainpoolP384t1"},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 14}, "brainpoolP512t1"},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 10}, "secp256k1"},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 1}, "P-192"},
	{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, "DSA"},
	{asn1.ObjectIdentifier{1, 3, 101, 111}, "X448"},
	{asn1.ObjectIdentifier{1, 3, 101, 113}, "Ed448"},
}

// supported are kinds of keys and curves of which only those that are not
// well-formed are asked about.
var supported = func() []asn1.ObjectIdentifier {
	list := []asn1.ObjectIdentifier{oidRSA, oidEARSA, oidRSAPSS, oidEd25519, oidX25519}
	for _, set := range mldsaSets {
		list = append(list, set.id)
	}
	for _, set := range slhdsaSets {
		list = append(list, set.id)
	}
	for _, set := range kemSets {
		list = append(list, set.id)
	}
	for _, c := range nist {
		list = append(list, c.id)
	}
	for _, c := range brainpoolCurves {
		list = append(list, c.id)
	}
	return list
}()

// KeyName says what kind of key c has, for explanations: a name, or the object
// identifier of the algorithm or the curve.
func KeyName(c *x509.Certificate) string {
	switch k := PublicKey(c).(type) {
	case *BrainpoolKey:
		return k.Curve()
	case *MLDSAKey:
		return mldsaOf(k).name
	case *SLHDSAKey:
		return k.set.name
	case *KEMKey:
		return k.Name()
	}
	info, ok := ReadKeyInfo(c.RawSubjectPublicKeyInfo)
	if !ok {
		return "not well-formed"
	}
	id := info.Algorithm
	if id.Equal(oidECPublicKey) {
		curve := cryptobyte.String(info.Parameters)
		if !curve.ReadASN1ObjectIdentifier(&id) {
			return "a curve with explicit parameters"
		}
	}
	for _, n := range names {
		if n.id.Equal(id) {
			return n.name
		}
	}
	for _, known := range supported {
		if known.Equal(id) {
			return "one that is not well-formed"
		}
	}
	return id.String()
}
