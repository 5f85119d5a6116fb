package cms

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// The caps on what one SignedData may hold.
const (
	maxCertificates = 200
	maxSigners      = 50
	maxCRLs         = 200
	// maxCertificate is the size up to which a certificate is looked at, in
	// octets. With a large post-quantum signature one has 60,000.
	maxCertificate = 128 << 10
)

// SignedData is a parsed SignedData (RFC 5652 section 5). Nothing in it is
// verified before Verify; it refers to the bytes it was parsed from.
type SignedData struct {
	// Certificates came with the message, in its order. They are hints.
	Certificates []*x509.Certificate
	// Skipped says which certificates could not be read, and why. A message is not refused for them (RFC 8550
	// section 2.3).
	Skipped []error
	// CRLs came with the message, DER, and nothing is known about them.
	CRLs [][]byte
	// ContentType is the type of the content.
	ContentType Type
	// Content is what was signed, nil where it is detached or went to the writer of
	// ReadSignedData. An object with no signers and no content only carries certificates.
	Content *Content
	// Element is the content where it is one element and not an OCTET STRING, as
	// PKCS #7 1.5 has it for types other than data (RFC 5652 section 5.2.1); Content
	// is the inside of it, which is what was signed. It is nil otherwise.
	Element []byte

	contentType []byte                 // object identifier of ContentType
	read        map[crypto.Hash][]byte // digests of the content of ReadSignedData
	unreadable  []unreadable
	digests     []algorithm
	signers     []signerInfo
}

// ParseSignedData reads a ContentInfo with SignedData, in BER or DER.
func ParseSignedData(ber []byte) (*SignedData, error) {
	return parseSignedData(ber, parseCertificate, maxCertificates)
}

// ParseSignatures is ParseSignedData without the certificates: for those who ask what is
// signed and by how many, and not by whom. Certificates and Skipped stay empty.
func ParseSignatures(ber []byte) (*SignedData, error) {
	return parseSignedData(ber, nil, maxCertificates)
}

func parseSignedData(ber []byte, parse func([]byte) (*x509.Certificate, error), limit int) (*SignedData, error) {
	c := newCursor(ber)
	s := new(SignedData)
	c.open(TypeSigned)
	c.enter(tagSequence)
	c.small() // version: says nothing that the parts do not
	s.readDigests(c)
	s.readContent(c)
	if err := s.readCertificates(c, parse, limit); err != nil {
		return nil, err
	}
	if err := s.readCRLs(c); err != nil {
		return nil, err
	}
	if err := s.readSigners(c); err != nil {
		return nil, err
	}
	c.leave()
	c.close()
	if c.err != nil {
		return nil, c.err
	}
	return s, nil
}

// readDigests reads DigestAlgorithmIdentifiers.
func (s *SignedData) readDigests(c *cursor) {
	c.enter(tagSet)
	for n := 0; c.more(); n++ {
		if n >= maxSigners {
			c.fail("too many digest algorithms")
			return
		}
		s.digests = append(s.digests, c.algorithm())
	}
	c.leave()
}

// listed reports whether the digest of a signer is one that the message names
// at its front. We refuse what is not, as RFC 5652 section 5.1 permits and
// others do.
func (s *SignedData) listed(digest algorithm) bool {
	for _, d := range s.digests {
		if d.equal(digest) {
			return true
		}
	}
	return false
}

// readContent reads EncapsulatedContentInfo.
func (s *SignedData) readContent(c *cursor) {
	c.enter(tagSequence)
	s.contentType = c.primitive(tagOID)
	if c.optional(tagContext0) {
		content := s.readOctets(c)
		s.Content = &content
		c.leave()
	}
	c.leave()
	s.ContentType = typeOf(s.contentType)
}

// readOctets reads what was signed.
func (s *SignedData) readOctets(c *cursor) Content {
	if string(s.contentType) == oidData || c.peek()&^tagConstructed == tagOctetString {
		return c.octets(tagOctetString)
	}
	s.Element = c.raw()
	if c.err != nil {
		return Content{}
	}
	if s.Element[0]&numberMask == numberMask || s.Element[1] == 0x80 {
		c.fail("content that is neither an octet string nor an element of definite length")
		return Content{}
	}
	b := inside(s.Element)
	return Content{src: b, at: c.pos - len(b), size: len(b)}
}

// inside returns the contents octets of an element of definite length.
func inside(element []byte) []byte {
	size := 2
	if element[1] > 0x80 {
		size += int(element[1] & 0x7f)
	}
	return element[size:]
}

// readCertificates reads the CertificateSet, of which only the choice
// certificate is used. Without parse it only counts them.
func (s *SignedData) readCertificates(c *cursor, parse func([]byte) (*x509.Certificate, error), limit int) error {
	if !c.optional(tagContext0) {
		return c.err
	}
	for n := 0; c.more(); n++ {
		if n >= limit {
			return tooBig("more than %d certificates", limit)
		}
		if parse == nil {
			c.skip()
			continue
		}
		if c.peek() != tagSequence {
			c.skip()
			s.Skipped = append(s.Skipped, unsupported("certificate format"))
			continue
		}
		raw := c.raw()
		cert, err := parse(raw)
		switch {
		case c.err != nil:
			return c.err
		case err != nil:
			err = fmt.Errorf("certificate %d: %w", len(s.Certificates)+len(s.Skipped)+1, err)
			s.Skipped = append(s.Skipped, fmt.Errorf("cms: %w", err))
			s.unreadable = append(s.unreadable, unreadable{raw, err})
		default:
			s.Certificates = append(s.Certificates, cert)
		}
	}
	c.leave()
	return c.err
}

// parseCertificate keeps certificates of absurd size from the parser, which
// makes much out of little.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, tooBig("certificate of %d octets", len(der))
	}
	return pkix.ParseCertificate(der)
}

// readCRLs reads RevocationInfoChoices.
func (s *SignedData) readCRLs(c *cursor) error {
	if !c.optional(tagContext0 + 1) {
		return c.err
	}
	for n := 0; c.more(); n++ {
		if n >= maxCRLs {
			return tooBig("more than %d CRLs", maxCRLs)
		}
		if c.peek() == tagSequence {
			s.CRLs = append(s.CRLs, c.raw())
		} else {
			c.skip()
		}
	}
	c.leave()
	return c.err
}

// readSigners reads SignerInfos.
func (s *SignedData) readSigners(c *cursor) error {
	c.enter(tagSet)
	for c.more() {
		if len(s.signers) >= maxSigners {
			return tooBig("more than %d signers", maxSigners)
		}
		s.signers = append(s.signers, c.signerInfo())
	}
	c.leave()
	return c.err
}

// A signerInfo is SignerInfo (RFC 5652 section 5.3).
type signerInfo struct {
	id        ID
	digest    algorithm
	attrs     []byte // the [0] element; nil where absent
	signature algorithm
	value     []byte
	unsigned  []byte // the [1] element; nil where absent
}

func (c *cursor) signerInfo() (s signerInfo) {
	if !c.enter(tagSequence) {
		return s
	}
	c.small() // version
	s.id = c.identifier()
	s.digest = c.algorithm()
	if c.peek() == tagContext0 {
		s.attrs = c.raw()
	}
	s.signature = c.algorithm()
	s.value = c.octetBytes(tagOctetString)
	if c.peek() == tagContext0+1 {
		s.unsigned = c.raw() // they prove nothing
	}
	c.leave()
	return s
}

// Bare reports whether the object is signatures and what they are verified with,
// and nothing else that could be a text: no content and no unsigned attributes.
func (s *SignedData) Bare() bool {
	for i := range s.signers {
		if s.signers[i].unsigned != nil {
			return false
		}
	}
	return s.Content == nil && s.read == nil
}

// OverContent reports whether a signature is over the content itself, without signed
// attributes: Verify needs the content then, and digests of it do not do.
func (s *SignedData) OverContent() bool {
	for i := range s.signers {
		if s.signers[i].attrs == nil {
			return true
		}
	}
	return false
}

// Signers returns the number of signers.
func (s *SignedData) Signers() int { return len(s.signers) }

// Digests returns the hash functions that the signers used, each once: what a
// caller who hashes the content himself must supply to Verify.
func (s *SignedData) Digests() []crypto.Hash {
	var hashes []crypto.Hash
next:
	for i := range s.signers {
		h := digestOf(s.signers[i].digest)
		if h == 0 || h == crypto.MD5 || !pkix.ApprovedDigest(h) {
			continue
		}
		for _, known := range hashes {
			if known == h {
				continue next
			}
		}
		hashes = append(hashes, h)
	}
	return hashes
}
