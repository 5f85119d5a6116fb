package cms

// maxAttributes is the size up to which signed or authenticated attributes are
// read, in octets. They are hashed in their DER form, which may have to be made.
const maxAttributes = 1 << 20

// normalize returns a copy of the element as DER under another tag, with the
// order of its members kept: signatures and authentication tags are computed over
// that form of attributes, also where the object is BER (RFC 5652 section 5.4).
func normalize(raw []byte, tag byte) ([]byte, error) {
	if len(raw) > maxAttributes {
		return nil, tooBig("attributes of %d octets", len(raw))
	}
	b, err := DER(raw)
	if err != nil {
		return nil, err
	}
	b[0] = tag
	return b, nil
}

// DER returns a copy of one BER element (X.690) with definite, shortest lengths
// and with the pieces of its strings joined, so that parsers of DER can read it:
// PKCS #12 as NSS writes it, for example. It does not sort sets. What is in a
// string stays as it is, and the pieces of an implicitly tagged string stay
// pieces, because only who knows the type can tell. It fails for trailing data
// and for what is nested deeper than any real object; its time is linear.
func DER(raw []byte) ([]byte, error) {
	c := newCursor(raw)
	b := make(builder, 0, len(raw))
	c.copyDER(&b)
	if c.err == nil && c.more() {
		c.fail("trailing data")
	}
	return b, c.err
}

// copyDER appends the next element to b. It recurses to maxDepth at most, which
// enter sees to.
func (c *cursor) copyDER(b *builder) {
	h, ok := c.header()
	if !ok {
		return
	}
	if h.tag&numberMask == numberMask {
		c.fail("high tag number")
		return
	}
	if h.tag&tagConstructed == 0 {
		b.tlv(h.tag, c.primitive(h.tag))
		return
	}
	if isString(h.tag &^ tagConstructed) {
		c.copyString(b, h.tag&^tagConstructed)
		return
	}
	mark := b.open(h.tag)
	if c.enter(h.tag) {
		for c.more() {
			c.copyDER(b)
		}
		c.leave()
	}
	b.close(mark)
}

// copyString joins the pieces of a constructed string. Pieces bear the tag of
// the string or, as X.690 section 8.21 has it, that of an OCTET STRING.
func (c *cursor) copyString(b *builder, tag byte) {
	mark := b.open(tag)
	base := c.depth
	c.enter(tag | tagConstructed)
	for c.err == nil && c.depth > base {
		switch t := c.peek(); {
		case t == 0:
			c.leave()
		case t == tag|tagConstructed || t == tagOctetString|tagConstructed:
			c.enter(t)
		case t == tag || t == tagOctetString:
			b.raw(c.primitive(t))
		default:
			c.fail("foreign element in a string")
		}
	}
	b.close(mark)
}

// isString reports whether a universal tag is a string or time type that BER
// may write in pieces. A BIT STRING in pieces is refused: nobody writes it.
func isString(tag byte) bool {
	return tag == tagOctetString || tag == 0x0c || tag >= 0x12 && tag <= 0x1e
}
