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
	contentType  []byte
	digest       []byte
	time         time.Time
	capabilities Capabilities
	preference   *ID
	certificate  []certHash // signingCertificate and signingCertificateV2
	protection   []byte     // CMSAlgorithmProtection
}

// parseAttributes reads the signedAttrs element under its [0] tag. What is wrong
// with an attribute that protects is ErrAttributes: the signature fails. One that
// only gives advice counts as absent where it cannot be read, or is there twice. A
// second signing time fails too: readers would show two times.
func parseAttributes(raw []byte) (*attributes, error) {
	if len(raw) > maxAttributes {
		return nil, badAttributes("%d octets", len(raw))
	}
	a := new(attributes)
	c := newCursor(raw)
	c.enter(tagContext0)
	seen := make([][]byte, 0, 16)
	for n := 0; c.more(); n++ {
		oid, value, err := c.attribute()
		if err != nil {
			return nil, err
		}
		if n >= maxAttributeCount {
			return nil, badAttributes("more than %d", maxAttributeCount)
		}
		if !knownAttribute(oid) {
			continue
		}
		if slices.ContainsFunc(seen, func(b []byte) bool { return bytes.Equal(b, oid) }) {
			if !preference(oid) {
				return nil, badAttributes("attribute %s twice", dotted(oid))
			}
			a.forget(oid)
			continue
		}
		seen = append(seen, oid)
		if err := a.set(oid, value); err != nil && !advice(oid) {
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

// attribute reads one Attribute. Those that are known must have one value only
// (RFC 8551 section 2.5, RFC 5652 section 11, RFC 5035 section 3); of others the
// first is returned. It is nil where there is none.
func (c *cursor) attribute() (oid, value []byte, err error) {
	c.enter(tagSequence)
	oid = c.primitive(tagOID)
	c.enter(tagSet)
	if c.more() {
		value = c.raw()
	}
	switch {
	case c.more() && preference(oid):
		value = nil
	case c.more() && knownAttribute(oid):
		return nil, nil, badAttributes("attribute %s with several values", dotted(oid))
	}
	for c.more() {
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

// advice reports whether an attribute says only what the signer's software can
// do or claims: nothing rests on it, and the signature is worth as much without
// it.
func advice(oid []byte) bool {
	switch string(oid) {
	case oidSigningTime, oidCapabilities, oidEncryptionKeyPreference:
		return true
	}
	return false
}

// preference reports whether an attribute says only how the signer wants to be written to.
func preference(oid []byte) bool {
	return string(oid) == oidCapabilities || string(oid) == oidEncryptionKeyPreference
}

// forget has no preference of the kind count.
func (a *attributes) forget(oid []byte) {
	if string(oid) == oidCapabilities {
		a.capabilities = nil
	} else {
		a.preference = nil
	}
}

// set takes up one attribute.
func (a *attributes) set(oid, value []byte) (err error) {
	c := newCursor(value)
	switch string(oid) {
	case oidContentType:
		a.contentType = c.primitive(tagOID)
	case oidMessageDigest:
		a.digest = c.octetBytes(tagOctetString)
	case oidSigningTime:
		a.time = c.time()
	case oidCapabilities:
		a.capabilities, err = ParseCapabilities(value)
		return err
	case oidEncryptionKeyPreference:
		if id := c.keyPreference(); c.err == nil && !c.more() {
			a.preference = id
		}
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
