package pki

import (
	"crypto"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

// maxSalt limits the salt of PSS, in octets: the largest key has no room for a
// longer one. Some sign with as long a salt as fits.
const maxSalt = MaxRSA / 8

// readPSS reads RSASSA-PSS-params (RFC 4055 section 3.1). The digest of the mask
// must be the digest itself: no other combination is in use or in crypto/rsa.
func readPSS(der []byte) (a Algorithm, ok bool) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return a, false
	}
	a = Algorithm{scheme: pss, hash: crypto.SHA1, salt: 20}
	mask := crypto.SHA1
	var field cryptobyte.String
	var present bool
	if !readField(&seq, &field, &present, 0) || present && !readDigest(field, &a.hash) {
		return a, false
	}
	if !readField(&seq, &field, &present, 1) || present && !readMask(field, &mask) {
		return a, false
	}
	if !readField(&seq, &field, &present, 2) || present && (!field.ReadASN1Integer(&a.salt) || a.salt < 0 || a.salt > maxSalt) {
		return a, false
	}
	trailer := 1
	if !readField(&seq, &field, &present, 3) || present && !field.ReadASN1Integer(&trailer) {
		return a, false
	}
	return a, seq.Empty() && mask == a.hash && trailer == 1
}

func readField(s, field *cryptobyte.String, present *bool, n uint8) bool {
	return s.ReadOptionalASN1(field, present, cryptobyte_asn1.Tag(n).ContextSpecific().Constructed())
}

func readDigest(s cryptobyte.String, h *crypto.Hash) bool {
	var seq cryptobyte.String
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&id) {
		return false
	}
	for _, d := range digests {
		if d.id.Equal(id) {
			*h = d.hash
			return true
		}
	}
	return false
}

func readMask(s cryptobyte.String, h *crypto.Hash) bool {
	var seq cryptobyte.String
	var id asn1.ObjectIdentifier
	return s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&id) &&
		id.Equal(oidMGF1) && readDigest(seq, h)
}

var digests = []struct {
	id   asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, crypto.SHA224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}
