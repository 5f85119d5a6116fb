package pkix

import (
	"bytes"
	"crypto"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// certID writes a CertID by a digest for an issuer.
func certID(oid string, name, key, serial []byte, more ...byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(oid)) })
		})
		b.AddASN1OctetString(name)
		b.AddASN1OctetString(key)
		b.AddASN1(cryptobyte_asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(serial) })
		b.AddBytes(more)
	})
	return b.BytesOrPanic()
}

// TestCertID: it names the certificates of one issuer, by each digest in use.
func TestCertID(t *testing.T) {
	issuer, other := testpki.Must(testpki.NewCA(testpki.Options{})).Certificate, testpki.Must(testpki.NewCA(testpki.Options{})).Certificate
	info, _ := ReadKeyInfo(issuer.RawSubjectPublicKeyInfo)
	for h, known := range map[crypto.Hash]bool{crypto.MD5: false, crypto.SHA1: true, crypto.SHA256: true, crypto.SHA384: true, crypto.SHA512: true} {
		der := certID(DigestOID(h), Identifier(h, issuer.RawSubject), Identifier(h, info.Bits), []byte{0x01, 0x02})
		s := cryptobyte.String(append(der, 0x05, 0x00))
		id, ok := ReadCertID(&s)
		if !ok || !bytes.Equal(id.DER, der) || len(s) != 2 || id.OfIssuer(issuer.RawSubject, issuer.RawSubjectPublicKeyInfo) != known {
			t.Errorf("%v: %+v, %t", h, id, ok)
		}
		if id.OfIssuer(issuer.RawSubject, other.RawSubjectPublicKeyInfo) || id.OfIssuer([]byte("x"), issuer.RawSubjectPublicKeyInfo) {
			t.Errorf("%v: it names another issuer", h)
		}
	}
	for name, der := range map[string][]byte{
		"nothing": nil, "no serial": certID("x", nil, nil, nil), "more": certID("x", nil, nil, []byte{1}, 5, 0), "no sequence": {0x31, 0},
	} {
		s := cryptobyte.String(der)
		if _, ok := ReadCertID(&s); ok {
			t.Errorf("%s was read", name)
		}
	}
	for want, serial := range map[int64]string{1: "\x01", 128: "\x00\x80", -128: "\x80", -1: "\xff", 0: "\x00"} {
		if id := (CertID{Serial: []byte(serial)}); id.Number().Cmp(big.NewInt(want)) != 0 {
			t.Errorf("%x: %v, want %d", serial, id.Number(), want)
		}
	}
}
