package revocation

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits for lists that come with a message.
const (
	maxMessageLists = 16
	maxMessageList  = 4 << 20 // octets
)

// Lists is a collection of revocation lists. It does not change.
type Lists struct {
	more     *Lists             // further ones
	byIssuer map[string][]*List // newest first
}

// NewLists makes a collection.
func NewLists(lists ...*List) *Lists {
	s := &Lists{byIssuer: map[string][]*List{}}
	for _, l := range lists {
		s.byIssuer[l.Issuer] = append(s.byIssuer[l.Issuer], l)
	}
	for _, own := range s.byIssuer {
		slices.SortStableFunc(own, newestFirst)
	}
	return s
}

func (s *Lists) with(lists []*List) *Lists {
	more := NewLists(lists...)
	more.more = s
	return more
}

// of returns the lists of an issuer, newest first.
func (s *Lists) of(issuer string) []*List {
	if s.more == nil {
		return s.byIssuer[issuer]
	}
	all := slices.Concat(s.byIssuer[issuer], s.more.of(issuer))
	slices.SortStableFunc(all, newestFirst)
	return all
}

func newestFirst(a, b *List) int {
	if a.Number != nil && b.Number != nil {
		if c := b.Number.Cmp(a.Number); c != 0 {
			return c
		}
	}
	return b.ThisUpdate.Compare(a.ThisUpdate)
}

// WithMessage returns the collection with lists in DER that came with a message.
// Strangers sent them: what is malformed or too much is passed over.
func (s *Lists) WithMessage(ders [][]byte) *Lists {
	var lists []*List
	for _, der := range ders[:min(len(ders), maxMessageLists)] {
		if len(der) > maxMessageList {
			continue
		}
		if l, err := ParseList(der); err == nil {
			lists = append(lists, l)
		}
	}
	if len(lists) == 0 {
		return s
	}
	return s.with(lists)
}

// Question asks about a certificate.
type Question struct {
	Cert *x509.Certificate
	// Issuer is the key of its issuer's name, as of pki.NameKey.
	Issuer string
	// At is the time that counts.
	At time.Time
	// Stale is for how long lists count beyond their end.
	Stale time.Duration
	// Verify reports whether the signer of a list may speak for its issuer.
	Verify func(*List) bool
}

// Status judges a certificate by the lists (RFC 5280 section 6.3.3). It is good
// only if lists that are current and verified cover every reason.
func (s *Lists) Status(q Question) Answer {
	points, ok := readPoints(q.Cert)
	if !ok {
		return Answer{Text: "its distribution points cannot be read"}
	}
	// The lists of its issuer count even where the certificate points elsewhere.
	points = append(points, ofIssuer(q))
	j := &judgement{s: s, q: q, serial: serialOf(q.Cert), text: "no revocation list covers it"}
	for _, p := range points {
		if j.point(p); j.revoked != nil {
			return *j.revoked
		}
		if j.covered == allReasons {
			return Answer{Status: Good, Text: "not on the revocation list", NextUpdate: j.until}
		}
	}
	if j.covered != 0 {
		j.text = "the revocation lists cover only some reasons"
	}
	return Answer{Text: j.text}
}

// Nowhere reports whether nothing can ever say whether a certificate was revoked:
// it names no list (RFC 5280 section 4.2.1.13) and no responder (section 4.2.2.1),
// and no list of the collection is about it. A list that has ended is one, for
// the next may be put in its place.
func (s *Lists) Nowhere(q Question) bool {
	points, ok := readPoints(q.Cert)
	if !ok || len(points) > 0 || len(q.Cert.OCSPServer) > 0 {
		return false
	}
	authority := q.Cert.BasicConstraintsValid && q.Cert.IsCA
	return !slices.ContainsFunc(s.of(q.Issuer), func(l *List) bool {
		_, covers := l.covers(ofIssuer(q), q.Issuer, authority)
		return covers && l.Base == nil
	})
}

// ofIssuer is the point at which the lists of a certificate's issuer are found
// wherever the certificate points.
func ofIssuer(q Question) point {
	return point{names: []string{"d" + q.Issuer}, reasons: allReasons}
}

// judgement is the state of one question.
type judgement struct {
	s       *Lists
	q       Question
	serial  []byte
	covered reasons
	until   time.Time
	revoked *Answer
	text    string // why there is no answer yet
}

// point looks at the lists that answer for a distribution point.
func (j *judgement) point(p point) {
	names := p.issuers
	if len(names) == 0 {
		names = []string{j.q.Issuer}
	}
	authority := j.q.Cert.BasicConstraintsValid && j.q.Cert.IsCA
	for _, name := range names {
		for _, l := range j.s.of(name) {
			if l.Base != nil {
				continue
			}
			covers, ok := l.covers(p, j.q.Issuer, authority)
			if !ok || covers&^j.covered == 0 {
				continue
			}
			if text := j.usable(l); text != "" {
				j.text = text
				j.remember(l)
			} else {
				j.look(l)
				j.covered |= covers
			}
			if j.revoked != nil {
				return
			}
		}
	}
}

func (j *judgement) usable(l *List) string {
	if text := l.current(j.q.At, j.q.Stale); text != "" {
		return text
	}
	if !j.q.Verify(l) {
		return "the CRL is not signed by an authorized issuer"
	}
	return ""
}

// remember searches a list that no longer says what is good: a revocation on it
// stands, unless it was one that can be undone (RFC 5280 section 5.3.1). An
// administrator who forgets the next list does not let a revoked signer pass.
func (j *judgement) remember(l *List) {
	if l.unknown != nil || j.q.At.Before(l.ThisUpdate) || !j.q.Verify(l) {
		return
	}
	e, found, err := l.entries.find(j.q.Issuer, j.serial)
	if err != nil || !found || e.reason == reasonHold || e.reason == reasonRemove {
		return
	}
	j.revoked = &Answer{Status: Revoked,
		Text: fmt.Sprintf("revoked at %s: %s; %s", stamp(e.at), reasonNames[e.reason], j.text)}
}

// look searches a complete list and the newest delta list that builds on it.
func (j *judgement) look(l *List) {
	lists := []*List{l}
	until := l.NextUpdate
	if d := j.delta(l); d != nil {
		lists, until = []*List{d, l}, d.NextUpdate
	}
	for _, l := range lists {
		e, found, err := l.entries.find(j.q.Issuer, j.serial)
		if err != nil {
			j.revoked = &Answer{Text: err.Error()}
			return
		}
		if !found {
			continue
		}
		if e.reason == reasonRemove {
			break
		}
		j.revoked = &Answer{Status: Revoked, NextUpdate: until,
			Text: fmt.Sprintf("revoked at %s: %s", stamp(e.at), reasonNames[e.reason])}
		return
	}
	if j.until.IsZero() || until.Before(j.until) {
		j.until = until
	}
}

// delta returns the newest usable delta list for a complete one (RFC 5280
// section 6.3.3 (c)), nil if there is none.
func (j *judgement) delta(l *List) *List {
	if l.Number == nil {
		return nil
	}
	for _, d := range j.s.of(l.Issuer) {
		if d.Base != nil && d.Number != nil && d.Base.Cmp(l.Number) <= 0 && d.Number.Cmp(l.Number) >= 0 &&
			d.sameScope(l) && j.usable(d) == "" {
			return d
		}
	}
	return nil
}

func (l *List) sameScope(o *List) bool {
	if (l.point == nil) != (o.point == nil) || l.point != nil && l.point.raw != o.point.raw {
		return false
	}
	return bytes.Equal(l.authority, o.authority)
}

// serialOf returns the contents of the serial's INTEGER as they were signed.
func serialOf(c *x509.Certificate) []byte {
	s := cryptobyte.String(c.RawTBSCertificate)
	var seq, serial cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) ||
		!seq.SkipOptionalASN1(contextTag(0).Constructed()) || !seq.ReadASN1(&serial, cryptobyte_asn1.INTEGER) {
		return nil
	}
	return serial
}
