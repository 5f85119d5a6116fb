package cms

import (
	"bytes"
	"iter"
)

// maxAttributes is the size up to which signed or authenticated attributes are
// read, in octets.
const maxAttributes = 1 << 20

// forms returns the octets that a signature or an authentication tag over an
// attributes element may cover, the likeliest first. That is the element under
// the SET OF tag, in DER even where the object is BER (RFC 5652 section 5.4, RFC
// 5083 section 2.2): as it came, which is DER where the writer kept to section
// 5.3; with lengths of DER; and in the order of DER, too. The values of the
// attributes stay as they came: their author hashed them so.
func forms(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		came := bytes.Clone(raw)
		came[0] = tagSet
		if !yield(came) {
			return
		}
		members := newSetOf(len(raw))
		kept := make(builder, 0, len(raw))
		mark := kept.open(tagSet)
		c := newCursor(raw)
		c.enter(raw[0])
		for c.more() {
			at := len(members.builder)
			c.attributeDER(&members.builder)
			kept.raw(members.builder[at:])
			members.next()
		}
		kept.close(mark)
		if c.err != nil || !bytes.Equal(kept, came) && !yield(kept) {
			return
		}
		if sorted := members.bytes(tagSet); !bytes.Equal(sorted, kept) {
			yield(sorted)
		}
	}
}

// attributeDER appends an Attribute as DER up to its values.
func (c *cursor) attributeDER(b *builder) {
	c.enter(tagSequence)
	attribute := b.open(tagSequence)
	b.tlv(tagOID, c.primitive(tagOID))
	c.enter(tagSet)
	values := b.open(tagSet)
	for c.more() {
		b.raw(c.raw())
	}
	b.close(values)
	c.leave()
	b.close(attribute)
	c.leave()
}

// DER returns a copy of one BER element (X.690) with definite, shortest lengths
// and with the pieces of its strings joined, so that parsers of DER can read it:
// PKCS #12 as NSS writes it, for example. It does not sort sets. What is in a
// string stays as it is, and the pieces of an implicitly tagged string stay
// pieces, because only who knows the type can tell. It fails for trailing data
// other than line ends and NULs, and for what is nested deeper than any real object; its time is linear.
func DER(raw []byte) ([]byte, error) {
	c := newCursor(raw)
	b := make(builder, 0, len(raw))
	c.copyDER(&b)
	c.filler()
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
// may write in pieces. A BIT STRING in pieces is refused: no program writes it.
func isString(tag byte) bool {
	return tag == tagOctetString || tag == 0x0c || tag >= 0x12 && tag <= 0x1e
}
