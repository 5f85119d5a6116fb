package revocation

import (
	"bytes"
	"crypto"
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// responderID names the signer of an OCSP response. It must be the one whose key
// has signed it (RFC 6960 section 4.2.2.3).
type responderID struct {
	name []byte // a DER Name; nil: named by its key
	key  []byte // SHA-1 of the bits of the key
}

// read reads a ResponderID (RFC 6960 section 4.2.1).
func (id *responderID) read(s *cryptobyte.String) bool {
	var value, inner cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !s.ReadAnyASN1(&value, &tag) {
		return false
	}
	switch tag {
	case contextTag(1).Constructed():
		if !value.ReadASN1Element(&inner, cryptobyte_asn1.SEQUENCE) || !value.Empty() {
			return false
		}
		id.name = inner
	case contextTag(2).Constructed():
		if !value.ReadASN1(&inner, cryptobyte_asn1.OCTET_STRING) || !value.Empty() {
			return false
		}
		id.key = inner
	default:
		return false
	}
	return true
}

// names reports whether c is the one that is named.
func (id *responderID) names(c *x509.Certificate) bool {
	if id.name != nil {
		return pkix.SameName(id.name, c.RawSubject)
	}
	info, ok := pkix.ReadKeyInfo(c.RawSubjectPublicKeyInfo)
	return ok && bytes.Equal(id.key, pkix.Identifier(crypto.SHA1, info.Bits))
}
