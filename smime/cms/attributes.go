package cms

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// maxAttributeCount caps the attributes of one signer.
const maxAttributeCount = 100

// attributes are the signed attributes that S/MIME gives a meaning.
type attributes struct {
	der          []byte // under the SET OF tag: what the signature covers
	contentType  []byte
	digest       []byte
	time         time.Time
	capabilities Capabilities
	preference   *ID
	certificate  []certHash // signingCertificate and signingCertificateV2
	protection   []byte     // CMSAlgorithmProtection
}

// parseAttributes reads the signedAttrs element under its [0] tag. Everything
// wrong in it is ErrAttributes: the signature fails.
func parseAttributes(raw []byte) (*attributes, error) {
	der, err := normalize(raw, tagSet)
	if err != nil {
		return nil, badAttributes("%v", err)
	}
	a := &attributes{der: der}
	c := newCursor(a.der)
	c.enter(tagSet)
	seen := make([][]byte, 0, 16)
	for c.more() {
		oid, value, err := c.attribute()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(seen, func(b []byte) bool { return bytes.Equal(b, oid) }) {
			return nil, badAttributes("attribute %s twice", dotted(oid))
		}
		if len(seen) >= maxAttributeCount {
			return nil, badAttributes("more than %d", maxAttributeCount)
		}
		seen = append(seen, oid)
		if err := a.set(oid, value); err != nil {
			return nil, badAttributes("attribute %s: %v", dotted(oid), err)
		}
	}
	c.leave()
	if c.err != nil {
		return nil, badAttributes("%v", c.err)
	}
	if a.contentType == nil || a.digest == nil {
		return nil, badAttributes("no content type or no message digest") // RFC 5652 section 5.3
	}
	return a, nil
}

// attribute reads one Attribute. Those that are known must have exactly one
// value (RFC 8551 section 2.5, RFC 5652 section 11, RFC 5035 section 3); of
// others the first is returned, and they must have one at least.
func (c *cursor) attribute() (oid, value []byte, err error) {
	c.enter(tagSequence)
	oid = c.primitive(tagOID)
	c.enter(tagSet)
	value = c.raw()
	for many := false; c.more(); many = true {
		if !many && knownAttribute(oid) {
			return nil, nil, badAttributes("attribute %s with several values", dotted(oid))
		}
		c.skip()
	}
	c.leave()
	c.leave()
	if c.err != nil {
		return nil, nil, badAttributes("%v", c.err)
	}
	return oid, value, nil
}

// knownAttribute reports whether set gives the attribute a meaning.
func knownAttribute(oid []byte) bool {
	switch string(oid) {
	case oidContentType, oidMessageDigest, oidSigningTime, oidCapabilities, oidEncryptionKeyPreference,
		oidSigningCertificate, oidSigningCertificateV2, oidAlgorithmProtection:
		return true
	}
	return false
}

// set takes up one attribute.
func (a *attributes) set(oid, value []byte) (err error) {
	c := newCursor(value)
	switch string(oid) {
	case oidContentType:
		a.contentType = c.primitive(tagOID)
	case oidMessageDigest:
		a.digest = c.primitive(tagOctetString)
	case oidSigningTime:
		a.time = c.time()
	case oidCapabilities:
		a.capabilities, err = ParseCapabilities(value)
		return err
	case oidEncryptionKeyPreference:
		a.preference = c.keyPreference()
	case oidSigningCertificate:
		a.certificate = append(a.certificate, c.signingCertificate(oidSHA1))
	case oidSigningCertificateV2:
		a.certificate = append(a.certificate, c.signingCertificate(oidSHA256))
	case oidAlgorithmProtection:
		a.protection = value
		return nil
	default:
		return nil
	}
	if c.more() {
		c.fail("trailing data")
	}
	return c.err
}

// time reads UTCTime, which covers 1950 to 2049, or GeneralizedTime (RFC 5652
// section 11.3). The offset from UTC that BER permits is accepted: old software
// wrote it.
func (c *cursor) time() time.Time {
	tag, layout := byte(tagUTCTime), "060102150405Z0700"
	if c.peek() == tagGeneralizedTime {
		tag, layout = tagGeneralizedTime, "20060102150405Z0700"
	}
	b := c.primitive(tag)
	if c.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(layout, string(b))
	if err != nil || bytes.ContainsAny(b, ".,") {
		c.fail("bad time")
		return time.Time{}
	}
	if tag == tagUTCTime && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t.UTC()
}

// checkUnsigned looks for attributes that must be signed among those that are
// not (RFC 5652 sections 11.1 to 11.3).
func checkUnsigned(raw []byte) error {
	c := newCursor(raw)
	c.enter(tagContext0 + 1)
	for c.more() {
		c.enter(tagSequence)
		oid := c.primitive(tagOID)
		for c.more() {
			c.skip()
		}
		c.leave()
		if c.err == nil && knownAttribute(oid) {
			return badAttributes("attribute %s is not signed", dotted(oid))
		}
	}
	if c.err != nil {
		return badAttributes("%v", c.err)
	}
	return nil
}

// keyPreference reads SMIMEEncryptionKeyPreference (RFC 8551 section 2.5.3).
func (c *cursor) keyPreference() *ID {
	switch c.peek() {
	case tagContext0:
		id := c.issuerAndSerial(tagContext0)
		return &id
	case tagContext0 + 1: // RecipientKeyIdentifier: the date and the rest are of no use
		c.enter(tagContext0 + 1)
		id := &ID{SubjectKeyID: c.octetBytes(tagOctetString)}
		for c.more() {
			c.skip()
		}
		c.leave()
		return id
	case tagContext + 2, tagContext0 + 2:
		return &ID{SubjectKeyID: c.octetBytes(tagContext + 2)}
	}
	c.fail("key preference")
	return nil
}

// checkProtection compares CMSAlgorithmProtection with the algorithms that the
// signer info names (RFC 6211 section 2).
func (a *attributes) checkProtection(s *signerInfo) error {
	if a.protection == nil {
		return nil
	}
	c := newCursor(a.protection)
	c.enter(tagSequence)
	digest := c.algorithm()
	signature := c.algorithmTagged(tagContext0 + 1)
	c.leave()
	if c.err != nil {
		return badAttributes("algorithm protection: %v", c.err)
	}
	if !digest.equal(s.digest) || !signature.equal(s.signature) {
		return badAttributes("algorithm protection names other algorithms")
	}
	return nil
}

// identifies reports whether every signing certificate attribute names cert
// (RFC 8550 section 4.2): then, and only then, may it be the signer's.
func (a *attributes) identifies(cert *x509.Certificate) bool {
	for _, h := range a.certificate {
		if !h.matches(cert) {
			return false
		}
	}
	return true
}
