package pkix

import (
	"bytes"
	"crypto"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CertID names a certificate in OCSP (RFC 6960 section 4.1.1).
type CertID struct {
	// DER is the whole of it.
	DER []byte
	// Hash is 0 for a digest that is not known: it names no certificate then.
	Hash crypto.Hash
	// Name and Key are digests of the issuer's name and key, and Serial the contents of the
	// INTEGER, as they were written.
	Name, Key, Serial []byte
}

// ReadCertID reads a CertID at the beginning of s.
func ReadCertID(s *cryptobyte.String) (id CertID, ok bool) {
	var element, body, algorithm, hash, name, key, serial cryptobyte.String
	if !s.ReadASN1Element(&element, cryptobyte_asn1.SEQUENCE) {
		return id, false
	}
	id.DER = element
	if !element.ReadASN1(&body, cryptobyte_asn1.SEQUENCE) || !body.ReadASN1(&algorithm, cryptobyte_asn1.SEQUENCE) ||
		!algorithm.ReadASN1(&hash, cryptobyte_asn1.OBJECT_IDENTIFIER) ||
		!body.ReadASN1(&name, cryptobyte_asn1.OCTET_STRING) || !body.ReadASN1(&key, cryptobyte_asn1.OCTET_STRING) ||
		!body.ReadASN1(&serial, cryptobyte_asn1.INTEGER) || len(serial) == 0 || !body.Empty() {
		return id, false
	}
	id.Name, id.Key, id.Serial = name, key, serial
	switch h := DigestByOID(hash); h {
	case crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512: // SHA-1 signs nothing here
		id.Hash = h
	}
	return id, true
}

// OfIssuer reports whether it names a certificate of the issuer with a name, in DER, and a
// SubjectPublicKeyInfo.
func (id *CertID) OfIssuer(name, keyInfo []byte) bool {
	if id.Hash == 0 {
		return false
	}
	info, ok := ReadKeyInfo(keyInfo)
	return ok && bytes.Equal(id.Name, Identifier(id.Hash, name)) && bytes.Equal(id.Key, Identifier(id.Hash, info.Bits))
}

// Number is the serial number.
func (id *CertID) Number() *big.Int {
	n := new(big.Int).SetBytes(id.Serial)
	if id.Serial[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(id.Serial))))
	}
	return n
}
