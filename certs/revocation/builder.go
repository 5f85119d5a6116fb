package revocation

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

var (
	oidAuthorityKeyID     = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidCRLNumber          = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaIndicator     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint       = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidReasonCode         = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidCertificateIssuer  = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidFreshest           = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}
)

// builder reads a TBSCertList (RFC 5280 section 5.1) into a List.
type builder struct {
	list    *List
	dir     string
	name    []byte // the list's issuer, DER
	issuer  string // of the present entry: that of the list until an entry says otherwise
	foreign bool   // there are entries of another issuer
	buf     []byte // of the present entry
	records []record
}

func (b *builder) signedPart(s *scanner) error {
	s.signed = true
	tag, length, err := s.header()
	if err != nil || tag != tagSequence {
		return or(err)
	}
	end := s.pos + length
	if err := b.fields(s); err != nil {
		return err
	}
	hasEntries, hasExtensions := false, false
	for s.pos < end {
		tag, length, err := s.header()
		switch {
		case err != nil:
			return err
		case tag == tagSequence && !hasEntries && !hasExtensions:
			hasEntries = true
			err = b.entries(s, s.pos+length)
		case tag == tagExtensions && !hasExtensions:
			hasExtensions = true
			err = b.extensions(s, tag, length)
		default:
			err = errShape
		}
		if err != nil {
			return err
		}
	}
	if s.pos != end {
		return errShape
	}
	if p := b.list.point; b.foreign && (p == nil || !p.indirect) { // RFC 5280 section 5.3.3
		return errors.New("revocation list: it has entries of another issuer and is not indirect")
	}
	s.signed = false
	b.list.digest = s.digest()
	return nil
}

// fields reads what precedes the entries: version, algorithm, issuer and times.
func (b *builder) fields(s *scanner) error {
	tag, der, err := s.element()
	if err == nil && tag == tagInteger { // version, absent for 1
		tag, der, err = s.element()
	}
	if err != nil || tag != tagSequence {
		return or(err)
	}
	algorithm, id, ok := pkix.ReadAlgorithm(der)
	if !ok {
		return fmt.Errorf("revocation list: signature algorithm %s: %w", id, ErrUnsupported)
	}
	if !algorithm.Approved() {
		return fmt.Errorf("revocation list: signature algorithm %s is %s: %w", id, pkix.NotApproved, ErrUnsupported)
	}
	b.list.algorithm = algorithm
	s.use(algorithm)
	if tag, der, err = s.element(); err != nil || tag != tagSequence {
		return or(err)
	}
	b.name = der
	b.list.Issuer = pkix.NameKey(der)
	b.issuer = b.list.Issuer
	if tag, der, err = s.element(); err != nil {
		return err
	}
	if b.list.ThisUpdate, err = parseTime(tag, der); err != nil {
		return err
	}
	return b.nextUpdate(s)
}

// nextUpdate reads the optional field, without touching what follows instead.
func (b *builder) nextUpdate(s *scanner) error {
	next, err := s.r.Peek(1)
	if err != nil || next[0] != tagUTCTime && next[0] != tagTime {
		return nil // the caller finds what is wrong
	}
	tag, der, err := s.element()
	if err != nil {
		return err
	}
	b.list.NextUpdate, err = parseTime(tag, der)
	return err
}

// parseTime reads the two forms that RFC 5280 section 5.1.2.4 allows, to the
// second and in UTC. It is called for every entry, and so does without reflection.
func parseTime(tag byte, der []byte) (time.Time, error) {
	text := der[min(2, len(der)):]
	century := 0
	switch {
	case tag == tagTime && len(text) == len("20060102150405Z"):
		century, text = number(text[:2])*100, text[2:]
	case tag == tagUTCTime && len(text) == len("060102150405Z"):
		if century = 2000; number(text[:2]) >= 50 {
			century = 1900
		}
	default:
		return time.Time{}, errShape
	}
	var part [6]int
	for i := range part {
		if part[i] = number(text[2*i : 2*i+2]); part[i] < 0 {
			return time.Time{}, errShape
		}
	}
	t := time.Date(century+part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	// Date carries what is too large over to the next month, day or hour.
	if century < 0 || text[12] != 'Z' || int(t.Month()) != part[1] || t.Day() != part[2] || t.Hour() != part[3] ||
		t.Minute() != part[4] || t.Second() != part[5] {
		return t, errShape
	}
	return t, nil
}

// number reads two digits; it is negative if they are none.
func number(b []byte) int {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return -100
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

func (b *builder) entries(s *scanner, end int64) error {
	for s.pos < end {
		tag, length, err := s.header()
		if err != nil || tag != tagSequence || length > maxElement {
			return or(err)
		}
		if int(length) > cap(b.buf) {
			b.buf = make([]byte, length)
		}
		b.buf = b.buf[:length]
		if err := s.read(b.buf); err != nil {
			return err
		}
		if err := b.entry(b.buf); err != nil {
			return err
		}
	}
	if s.pos != end {
		return errShape
	}
	return nil
}

// entry reads the contents of one entry.
func (b *builder) entry(seq cryptobyte.String) error {
	var serial, when cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !seq.ReadASN1(&serial, cryptobyte_asn1.INTEGER) || !seq.ReadAnyASN1Element(&when, &tag) {
		return errShape
	}
	t, err := parseTime(byte(tag), when)
	if err != nil {
		return err
	}
	reason := 0
	if !seq.Empty() {
		if reason, err = b.entryExtensions(seq); err != nil {
			return err
		}
	}
	b.records = append(b.records, newRecord(b.issuer, serial, t, reason))
	return nil
}

func (b *builder) entryExtensions(der cryptobyte.String) (reason int, err error) {
	err = eachExtension(der, func(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) error {
		switch {
		case id.Equal(oidReasonCode):
			if !value.ReadASN1Enum(&reason) || !value.Empty() {
				return errShape
			}
			if reason < 0 || reason >= len(reasonNames) { // revoked all the same
				reason = 0
			}
		case id.Equal(oidCertificateIssuer):
			names, ok := directoryNames(value)
			if !ok || len(names) != 1 {
				return errShape
			}
			b.issuer = names[0]
			b.foreign = b.foreign || b.issuer != b.list.Issuer
		case critical:
			b.list.unknown = id
		}
		return nil
	})
	return reason, err
}

func (b *builder) extensions(s *scanner, tag byte, length int64) error {
	_, der, err := s.rest(tag, length, maxExtensions)
	if err != nil {
		return err
	}
	outer, inner := cryptobyte.String(der), cryptobyte.String(nil)
	if !outer.ReadASN1(&inner, cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()) || !outer.Empty() {
		return errShape
	}
	return eachExtension(inner, b.extension)
}

// extension reads one of the list. One that counts is there once (RFC 5280 section
// 5.2 by section 4.2): two readers could take different ones.
func (b *builder) extension(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) error {
	l, ok := b.list, true
	switch {
	case id.Equal(oidCRLNumber) && l.Number != nil, id.Equal(oidDeltaIndicator) && l.Base != nil,
		id.Equal(oidAuthorityKeyID) && l.authority != nil, id.Equal(oidIssuingPoint) && l.point != nil:
		return fmt.Errorf("revocation list: its extension %s stands there twice", id)
	case id.Equal(oidCRLNumber):
		l.Number = new(big.Int)
		ok = value.ReadASN1Integer(l.Number) && value.Empty()
	case id.Equal(oidDeltaIndicator):
		l.Base = new(big.Int)
		ok = value.ReadASN1Integer(l.Base) && value.Empty()
	case id.Equal(oidAuthorityKeyID):
		l.authority = value
	case id.Equal(oidIssuingPoint):
		l.point, ok = readIssuingPoint(value)
		ok = ok && l.point.complete(b.name)
	case critical:
		l.unknown = id
	}
	if !ok {
		return fmt.Errorf("revocation list: its extension %s is not well-formed", id)
	}
	return nil
}

// eachExtension calls f for every member of an Extensions.
func eachExtension(der cryptobyte.String, f func(asn1.ObjectIdentifier, bool, cryptobyte.String) error) error {
	var list cryptobyte.String
	if !der.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) || !der.Empty() {
		return errShape
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		var id asn1.ObjectIdentifier
		critical := false
		if !list.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) {
			return errShape
		}
		if one.PeekASN1Tag(cryptobyte_asn1.BOOLEAN) && !one.ReadASN1Boolean(&critical) {
			return errShape
		}
		if !one.ReadASN1(&value, cryptobyte_asn1.OCTET_STRING) || !one.Empty() {
			return errShape
		}
		if err := f(id, critical, value); err != nil {
			return err
		}
	}
	return nil
}
