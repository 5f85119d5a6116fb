package cms

import (
	"bytes"
	"crypto/x509"
	"math/big"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// ID names a certificate: by issuer and serial number, or by its subject key
// identifier (SignerIdentifier and RecipientIdentifier, RFC 5652 sections 5.3
// and 6.2.1).
type ID struct {
	RawIssuer    []byte // DER Name
	Serial       []byte // contents octets of the DER INTEGER
	SubjectKeyID []byte
}

// CertificateID returns the issuer and serial number of cert.
func CertificateID(cert *x509.Certificate) ID {
	return ID{RawIssuer: cert.RawIssuer, Serial: integerBytes(cert.SerialNumber)}
}

// Matches reports whether id names cert. Several certificates may bear the same
// subject key identifier. Names are equal whatever string types they are written
// in (RFC 5280 section 7.1).
func (id ID) Matches(cert *x509.Certificate) bool {
	if id.SubjectKeyID != nil {
		return len(id.SubjectKeyID) > 0 && bytes.Equal(id.SubjectKeyID, cert.SubjectKeyId)
	}
	return id.RawIssuer != nil && bytes.Equal(id.Serial, integerBytes(cert.SerialNumber)) &&
		pkix.SameName(id.RawIssuer, cert.RawIssuer)
}

// issuerAndSerial reads the inside of IssuerAndSerialNumber.
func (c *cursor) issuerAndSerial(tag byte) (id ID) {
	if !c.enter(tag) {
		return id
	}
	id.RawIssuer = c.raw()
	id.Serial = minimalInteger(c.primitive(tagInteger))
	c.leave()
	if c.err == nil && id.RawIssuer[0] != tagSequence {
		c.fail("issuer is not a name")
	}
	return id
}

// identifier reads IssuerAndSerialNumber or [0] SubjectKeyIdentifier.
func (c *cursor) identifier() (id ID) {
	if t := c.peek(); t == tagContext || t == tagContext0 {
		id.SubjectKeyID = c.octetBytes(tagContext)
		return id
	}
	return c.issuerAndSerial(tagSequence)
}

// identifier appends issuer and serial number of cert, or with ski its subject
// key identifier under [0].
func (b *builder) identifier(cert *x509.Certificate, ski bool) {
	if ski {
		b.tlv(tagContext, cert.SubjectKeyId)
		return
	}
	b.issuerAndSerial(tagSequence, cert)
}

func (b *builder) issuerAndSerial(tag byte, cert *x509.Certificate) {
	m := b.open(tag)
	b.raw(cert.RawIssuer)
	b.tlv(tagInteger, integerBytes(cert.SerialNumber))
	b.close(m)
}

// minimalInteger removes the leading octets that DER would not have written:
// some serial numbers come with them.
func minimalInteger(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// integerBytes returns the contents octets of n in DER.
func integerBytes(n *big.Int) []byte {
	if n.Sign() < 0 { // two's complement of the smallest sufficient width
		width := new(big.Int).Not(n).BitLen()/8 + 1
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
		return n.FillBytes(make([]byte, width))
	}
	return n.FillBytes(make([]byte, n.BitLen()/8+1))
}
