package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidHidden             = asn1.ObjectIdentifier{2, 5, 29, 127}
)

// hidden is the last octet of an object identifier that nobody knows.
const hidden = 0x7f

// ParseCertificate is x509.ParseCertificate for certificates that it refuses
// though only a part of them is strange to it, so that a verdict can name that
// part: an elliptic curve such as brainpool's, DSA parameters, or a distribution
// point relative to its issuer. The key is nil, and CRLDistributionPoints empty,
// where that was the part.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	spots := strangeParts(der)
	for _, hide := range [][]int{spots.points, spots.key, append(spots.points[:len(spots.points):len(spots.points)], spots.key...)} {
		if cert := parseHiding(der, hide); cert != nil {
			return cert, nil
		}
	}
	return nil, err
}

// parseHiding parses a copy in which the octets at the offsets are changed, and
// then changes them back: what was parsed refers to the copy.
func parseHiding(der []byte, offsets []int) *x509.Certificate {
	if len(offsets) == 0 {
		return nil
	}
	masked := bytes.Clone(der)
	for _, i := range offsets {
		masked[i] = hidden
	}
	cert, err := x509.ParseCertificate(masked)
	if err != nil || len(cert.Raw) == 0 || &cert.Raw[0] != &masked[0] {
		return nil
	}
	copy(masked, der)
	for i, e := range cert.Extensions {
		if e.Id.Equal(oidHidden) {
			cert.Extensions[i].Id = oidDistributionPoints
		}
	}
	for i, id := range cert.UnhandledCriticalExtensions {
		if id.Equal(oidHidden) {
			cert.UnhandledCriticalExtensions[i] = oidDistributionPoints
		}
	}
	return cert
}

// spots are offsets of the last octets of object identifiers.
type spots struct{ key, points []int }

// strangeParts finds the algorithm of the key and the extension of distribution
// points in a certificate (RFC 5280 section 4.1).
func strangeParts(der []byte) (s spots) {
	in := cryptobyte.String(der)
	var cert, tbs, info, alg, id cryptobyte.String
	if !in.ReadASN1(&cert, cryptobyte_asn1.SEQUENCE) || !in.Empty() {
		return s
	}
	if !cert.ReadASN1(&tbs, cryptobyte_asn1.SEQUENCE) || !tbs.SkipOptionalASN1(cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()) {
		return s
	}
	for range 5 { // serial, signature, issuer, validity, subject
		var skipped cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !tbs.ReadAnyASN1(&skipped, &tag) {
			return s
		}
	}
	if tbs.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) && info.ReadASN1(&alg, cryptobyte_asn1.SEQUENCE) &&
		alg.ReadASN1(&id, cryptobyte_asn1.OBJECT_IDENTIFIER) && len(id) > 0 {
		s.key = []int{position(der, id) + len(id) - 1}
	}
	marker := []byte{0x06, 0x03, 0x55, 0x1d, 0x1f} // the extension's identifier
	if i := bytes.Index(tbs, marker); i >= 0 {
		s.points = []int{position(der, tbs) + i + len(marker) - 1}
	}
	return s
}

// position returns the offset of part, which is a slice of der.
func position(der, part []byte) int { return cap(der) - cap(part) }
