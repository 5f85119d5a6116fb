package cms

import (
	"bytes"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// An unreadable certificate came with the message and is not used.
type unreadable struct {
	raw []byte
	err error
}

// named reports whether id names the certificate, as far as that can be seen in
// it: by the issuer and serial number at its front, or by the key identifier
// somewhere in it.
func (u unreadable) named(id ID) bool {
	if n := len(id.SubjectKeyID); n > 0 {
		return n < 0x80 && bytes.Contains(u.raw, append([]byte{tagOctetString, byte(n)}, id.SubjectKeyID...))
	}
	c := newCursor(u.raw)
	c.enter(tagSequence)
	c.enter(tagSequence)
	if c.peek() == tagContext0 { // version
		c.skip()
	}
	serial := minimalInteger(c.primitive(tagInteger))
	c.skip() // signature algorithm
	issuer := c.raw()
	return c.err == nil && bytes.Equal(serial, id.Serial) && pkix.SameName(issuer, id.RawIssuer)
}

// missing says why there is no certificate that id names: it may be one that cannot
// be read.
func (s *SignedData) missing(id ID) error {
	for _, u := range s.unreadable {
		if u.named(id) {
			return fmt.Errorf("%w: %w", ErrCertificate, u.err)
		}
	}
	return ErrNoCertificate
}
