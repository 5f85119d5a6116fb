package revocation

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readIssuingPoint reads an IssuingDistributionPoint. A name relative to the
// issuer of the list is completed by complete, once that is known.
func readIssuingPoint(der cryptobyte.String) (*issuingPoint, bool) {
	p := &issuingPoint{reasons: allReasons, raw: string(der)}
	var seq, name, flags cryptobyte.String
	var hasName, hasFlags bool
	if !der.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !der.Empty() ||
		!seq.ReadOptionalASN1(&name, &hasName, contextTag(0).Constructed()) ||
		!readFlag(&seq, 1, &p.users) || !readFlag(&seq, 2, &p.authorities) ||
		!seq.ReadOptionalASN1(&flags, &hasFlags, contextTag(3)) ||
		!readFlag(&seq, 4, &p.indirect) || !readFlag(&seq, 5, &p.attr) || !seq.Empty() {
		return nil, false
	}
	if hasName && len(name) == 0 { // not: no name, which covers everything
		return nil, false
	}
	if hasFlags {
		p.reasons = readReasons(flags)
	}
	p.relative = name
	return p, true
}

// readFlag reads a BOOLEAN DEFAULT FALSE with an implicit tag.
func readFlag(s *cryptobyte.String, tag uint8, flag *bool) bool {
	var value cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&value, &present, contextTag(tag)) {
		return false
	}
	*flag = present && len(value) == 1 && value[0] != 0
	return !present || len(value) == 1
}

// complete reads the name of the point, relative to the issuer of the list.
func (p *issuingPoint) complete(issuer []byte) bool {
	if len(p.relative) == 0 {
		return true
	}
	var ok bool
	p.names, ok = readPointName(p.relative, issuer)
	return ok
}

// covers reports whether the list answers for a certificate with the point d,
// and for which reasons (RFC 5280 section 6.3.3 (b) and (d)).
func (l *List) covers(d point, certIssuer string, authority bool) (reasons, bool) {
	if len(d.issuers) > 0 {
		if !slices.Contains(d.issuers, l.Issuer) || l.point == nil || !l.point.indirect {
			return 0, false
		}
	} else if l.Issuer != certIssuer {
		return 0, false
	}
	p := l.point
	if p == nil {
		return d.reasons, true
	}
	if p.attr || p.users && authority || p.authorities && !authority {
		return 0, false
	}
	if len(p.names) > 0 && !p.matches(d) {
		return 0, false
	}
	return d.reasons & p.reasons, true
}

// matches compares the names of both points; a point without a name has that of
// its cRLIssuer.
func (p *issuingPoint) matches(d point) bool {
	for _, n := range p.names {
		if slices.Contains(d.names, n) {
			return true
		}
		if len(d.names) == 0 && n[0] == 'd' && slices.Contains(d.issuers, n[1:]) {
			return true
		}
	}
	return false
}
