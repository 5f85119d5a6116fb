package path

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// rsaInfo is a SubjectPublicKeyInfo of an RSA key that no program makes. An exponent of
// package rsa is an int, which may have 32 bits.
func rsaInfo(t *testing.T, n *big.Int, e int64) []byte {
	t.Helper()
	key := testpki.Must(asn1.Marshal(struct {
		N *big.Int
		E int64
	}{n, e}))
	return testpki.Must(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: key, BitLength: 8 * len(key)},
	}))
}

// What the lookup finds usable can be encrypted to, and what cannot is refused there
// with its reason.
func TestLookupAndEncryptionJudgeAlike(t *testing.T) {
	odd := func(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), bits-1, 1) }
	x25519 := func(point []byte) []byte {
		return testpki.Must(asn1.Marshal(struct {
			Algorithm struct{ ID asn1.ObjectIdentifier }
			Key       asn1.BitString
		}{struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 3, 101, 110}}, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}}))
	}
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	for name, tc := range map[string]struct {
		info []byte
		want certs.Reason
	}{
		"2048":               {rsaInfo(t, odd(2048), 65537), ""},
		"8192":               {rsaInfo(t, odd(8192), 3), ""},
		"1024, with archive": {rsaInfo(t, odd(1024), 65537), certs.WeakKey},
		"8193":               {rsaInfo(t, odd(8193), 65537), certs.UnsupportedKey},
		"even modulus":       {rsaInfo(t, new(big.Int).Lsh(big.NewInt(1), 2047), 65537), certs.WeakKey},
		"exponent 1":         {rsaInfo(t, odd(2048), 1), certs.WeakKey},
		"exponent of 32":     {rsaInfo(t, odd(2048), 3514532609), certs.UnsupportedKey},
		"exponent of 31":     {rsaInfo(t, odd(2048), 1<<31-1), ""},
		"low order":          {x25519(make([]byte, 32)), certs.WeakKey},
		"other low order":    {x25519(append([]byte{1}, make([]byte, 31)...)), certs.WeakKey},
		"x25519":             {x25519(append([]byte{9}, make([]byte, 31)...)), ""},
	} {
		usage := x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
		cert := testpki.Must(ca.Issue(testpki.Leaf{PublicKeyInfo: tc.info, KeyUsage: usage})).Certificate
		v := newValidator(t, Config{Revocation: certs.RevocationOff, AllowRSA1024: true}, ca)
		got := v.Check(t.Context(), cert, certs.Request{Purpose: certs.ForEncryption})
		if got.Reason != tc.want {
			t.Errorf("%s: %q: %s; want %q", name, got.Reason, got.Detail, tc.want)
		}
		_, err := cms.Encrypt(cms.EncryptRequest{Recipients: []*x509.Certificate{cert}})
		if (err == nil) != (got.Result == certs.Pass) {
			t.Errorf("%s: the lookup says %s, encryption %v", name, got.Result, err)
		}
		if certs.Decrypts(cert) != (err == nil) {
			t.Errorf("%s: Decrypts says %t, encryption %v", name, certs.Decrypts(cert), err)
		}
	}
}
