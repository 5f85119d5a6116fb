package revocation

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// reasons is a set of revocation reasons, bit i for bit i of ReasonFlags
// (RFC 5280 section 4.2.1.13).
type reasons uint16

// allReasons are bits 1 to 8; bit 0 is unused.
const allReasons reasons = 0x1fe

// point is one DistributionPoint of a certificate (RFC 5280 section 4.2.1.13).
type point struct {
	names   []string // nil: none
	urls    []string // those of names that are http addresses
	reasons reasons
	issuers []string // cRLIssuer; nil: the issuer of the certificate
}

// issuingPoint is the IssuingDistributionPoint of a list (section 5.2.5).
type issuingPoint struct {
	names                    []string
	users, authorities, attr bool
	reasons                  reasons
	indirect                 bool
	relative                 []byte // DistributionPointName, until complete
	raw                      string
}

func contextTag(n uint8) cryptobyte_asn1.Tag { return cryptobyte_asn1.Tag(n).ContextSpecific() }

// readPoints returns the distribution points of c; ok is false if they are not
// well-formed.
func readPoints(c *x509.Certificate) (list []point, ok bool) {
	return readPointsOf(c, oidDistributionPoints)
}

// freshest returns where the delta lists for c are (section 4.2.1.15).
func freshest(c *x509.Certificate) []string {
	points, _ := readPointsOf(c, oidFreshest)
	var urls []string
	for _, p := range points {
		urls = append(urls, p.urls...)
	}
	return webAddresses(urls, 1)
}

func readPointsOf(c *x509.Certificate, id asn1.ObjectIdentifier) (list []point, ok bool) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(id) {
			continue
		}
		s := cryptobyte.String(e.Value)
		var seq cryptobyte.String
		if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
			return nil, false
		}
		for !seq.Empty() {
			var der cryptobyte.String
			if !seq.ReadASN1(&der, cryptobyte_asn1.SEQUENCE) {
				return nil, false
			}
			p, ok := readPoint(der, c)
			if !ok {
				return nil, false
			}
			list = append(list, p)
		}
	}
	return list, true
}

// Delegates reports whether a distribution point of c names the issuer of l as
// the one who publishes lists about c.
func Delegates(c *x509.Certificate, l *List) bool {
	points, ok := readPoints(c)
	return ok && slices.ContainsFunc(points, func(p point) bool { return slices.Contains(p.issuers, l.Issuer) })
}

func readPoint(der cryptobyte.String, c *x509.Certificate) (p point, ok bool) {
	var name, flags, issuers cryptobyte.String
	var hasName, hasFlags, hasIssuers bool
	if !der.ReadOptionalASN1(&name, &hasName, contextTag(0).Constructed()) ||
		!der.ReadOptionalASN1(&flags, &hasFlags, contextTag(1)) ||
		!der.ReadOptionalASN1(&issuers, &hasIssuers, contextTag(2).Constructed()) || !der.Empty() {
		return p, false
	}
	p.reasons = allReasons
	if hasFlags {
		p.reasons = readReasons(flags)
	}
	relativeTo := c.RawIssuer
	if hasIssuers {
		var raw []byte
		if p.issuers, raw, ok = readIssuers(issuers); !ok {
			return p, false
		}
		relativeTo = raw
	}
	if hasName {
		p.names, ok = readPointName(name, relativeTo)
		for _, n := range p.names {
			if url, isURL := strings.CutPrefix(n, "u"); isURL {
				p.urls = append(p.urls, url)
			}
		}
		return p, ok
	}
	return p, hasIssuers
}

// readIssuers returns the directory names of a cRLIssuer and the first in DER.
func readIssuers(names cryptobyte.String) (keys []string, first []byte, ok bool) {
	for !names.Empty() {
		var value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !names.ReadAnyASN1(&value, &tag) {
			return nil, nil, false
		}
		if tag == contextTag(4).Constructed() {
			if first == nil {
				first = value
			}
			keys = append(keys, pkix.NameKey(value))
		}
	}
	return keys, first, len(keys) > 0
}

// readPointName reads a DistributionPointName: full names, or one relative to
// the name of the list's issuer. A name becomes "u" with an address, "d" with the
// key of a directory name, or "o" with whatever else.
func readPointName(der cryptobyte.String, issuer []byte) (names []string, ok bool) {
	var inner cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !der.ReadAnyASN1(&inner, &tag) || !der.Empty() {
		return nil, false
	}
	switch tag {
	case contextTag(0).Constructed():
		for !inner.Empty() {
			var value cryptobyte.String
			if !inner.ReadAnyASN1(&value, &tag) {
				return nil, false
			}
			names = append(names, pointName(tag, value))
		}
		return names, len(names) > 0
	case contextTag(1).Constructed():
		full, ok := relativeName(issuer, inner)
		return []string{"d" + full}, ok
	}
	return nil, false
}

func pointName(tag cryptobyte_asn1.Tag, value cryptobyte.String) string {
	switch tag {
	case contextTag(6):
		return "u" + string(value)
	case contextTag(4).Constructed():
		return "d" + pkix.NameKey(value)
	}
	return "o" + string([]byte{byte(tag)}) + string(value)
}

// relativeName appends an RDN to a Name and returns the key of the whole.
func relativeName(issuer []byte, rdn cryptobyte.String) (string, bool) {
	s := cryptobyte.String(issuer)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) {
		return "", false
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(seq)
		b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(rdn) })
	})
	der, err := b.Bytes()
	if err != nil {
		return "", false
	}
	return pkix.NameKey(der), true
}

// readReasons reads the contents of a BIT STRING.
func readReasons(bits []byte) (r reasons) {
	if len(bits) == 0 {
		return 0
	}
	for i := range min(len(bits)-1, 2) * 8 {
		if bits[1+i/8]&(0x80>>(i%8)) != 0 {
			r |= 1 << i
		}
	}
	return r & allReasons
}

// directoryNames reads a GeneralNames and returns the keys of its directory names.
func directoryNames(der cryptobyte.String) ([]string, bool) {
	var names cryptobyte.String
	if !der.ReadASN1(&names, cryptobyte_asn1.SEQUENCE) {
		return nil, false
	}
	keys, _, ok := readIssuers(names)
	return keys, ok
}
