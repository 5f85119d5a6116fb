package cms

// maxCapabilities caps the entries read.
const maxCapabilities = 200

// Capability is one entry of SMIMECapabilities: an algorithm with its
// parameters, compared octet by octet (RFC 8551 section 2.5.2).
type Capability struct {
	OID    []byte // contents octets of the object identifier
	Params []byte // a whole DER element; nil where absent
}

// Capabilities are what a correspondent's software can do, best first. They
// count only from a verified signature.
type Capabilities []Capability

// ParseCapabilities reads SMIMECapabilities. The result refers to der.
func ParseCapabilities(der []byte) (Capabilities, error) {
	c := newCursor(der)
	var list Capabilities
	c.enter(tagSequence)
	for c.more() {
		if len(list) >= maxCapabilities {
			return nil, tooBig("more than %d capabilities", maxCapabilities)
		}
		a := c.algorithm()
		list = append(list, Capability{OID: a.oid, Params: a.params})
	}
	c.leave()
	if c.err == nil && c.pos < len(der) {
		c.fail("trailing data")
	}
	if c.err != nil {
		return nil, c.err
	}
	return list, nil
}

// capabilities appends SMIMECapabilities that announce the ciphers, in their
// order, and the derivation of their keys (RFC 9709 section 4).
func (b *builder) capabilities(ciphers []Cipher) {
	m := b.open(tagSequence)
	for _, k := range ciphers {
		if s := k.spec(); s != nil && !s.weak {
			b.algorithm(s.oid, nil)
		}
	}
	b.algorithm(oidCEKHKDF, nil)
	b.close(m)
}

// DefaultCapabilities are the ciphers that our own signatures announce.
func DefaultCapabilities() []Cipher {
	return []Cipher{AES256GCM, AES128GCM, AES256CBC, AES192CBC, AES128CBC, ChaCha20Poly1305}
}

// Marshal returns the DER form.
func (l Capabilities) Marshal() []byte {
	var b builder
	m := b.open(tagSequence)
	for _, c := range l {
		b.algorithm(string(c.OID), c.Params)
	}
	b.close(m)
	return b
}

// Ciphers returns the ciphers among the capabilities that this package can
// write, in the order of the sender's preference.
func (l Capabilities) Ciphers() []Cipher {
	var list []Cipher
	for _, c := range l {
		a := algorithm{oid: c.OID, params: c.Params}
		if s := cipherByOID(c.OID); s != nil && !s.weak && a.bare() {
			list = append(list, s.name)
		}
	}
	return list
}
