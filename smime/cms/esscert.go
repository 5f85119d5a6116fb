package cms

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A certHash is ESSCertID or ESSCertIDv2 (RFC 5035 sections 3 and 4): the hash
// of a certificate and, optionally, its issuer and serial number.
type certHash struct {
	digest algorithm
	hash   []byte
	id     *ID
}

// signingCertificate reads SigningCertificate or SigningCertificateV2. The first
// identifier is the signer's own certificate; the others limit the chain, which
// is not this package's to judge.
func (c *cursor) signingCertificate(defaultDigest string) (h certHash) {
	c.enter(tagSequence)
	c.enter(tagSequence)
	h = c.certHash(defaultDigest)
	for c.more() {
		c.skip()
	}
	c.leave()
	for c.more() { // policies
		c.skip()
	}
	c.leave()
	return h
}

func (c *cursor) certHash(defaultDigest string) (h certHash) {
	h.digest = algorithm{oid: []byte(defaultDigest)}
	c.enter(tagSequence)
	if c.peek() == tagSequence {
		h.digest = c.algorithm()
	}
	h.hash = c.octetBytes(tagOctetString)
	if c.optional(tagSequence) {
		h.id = &ID{RawIssuer: c.directoryName(), Serial: minimalInteger(c.primitive(tagInteger))}
		c.leave()
	}
	c.leave()
	return h
}

// matches reports whether h names cert.
func (h certHash) matches(cert *x509.Certificate) bool {
	f := digestOf(h.digest)
	if f == 0 || f == crypto.MD5 || !bytes.Equal(pkix.Identifier(f, cert.Raw), h.hash) {
		return false
	}
	return h.id == nil || h.id.Matches(cert)
}

// directoryName reads GeneralNames, which must be one directory name (RFC 5035
// section 5).
func (c *cursor) directoryName() []byte {
	c.enter(tagSequence)
	c.enter(tagContext0 + 4)
	name := c.raw()
	c.leave()
	c.leave()
	return name
}

// directoryName appends GeneralNames that consist of one directory name.
func (b *builder) directoryName(rawName []byte) {
	m := b.open(tagSequence)
	b.tlv(tagContext0+4, rawName)
	b.close(m)
}

// signingCertificateV2 appends the attribute value that names cert by SHA-256,
// which is the default and therefore not written.
func (b *builder) signingCertificateV2(cert *x509.Certificate) {
	digest := sha256.Sum256(cert.Raw)
	outer := b.open(tagSequence)
	certs := b.open(tagSequence)
	one := b.open(tagSequence)
	b.tlv(tagOctetString, digest[:])
	is := b.open(tagSequence)
	b.directoryName(cert.RawIssuer)
	b.tlv(tagInteger, integerBytes(cert.SerialNumber))
	b.close(is)
	b.close(one)
	b.close(certs)
	b.close(outer)
}
