package cms

import "iter"

// Content is an OCTET STRING as it lies in the object it came from: one piece,
// or many where the sender wrote BER in chunks, as Outlook and Exchange do.
type Content struct {
	src    []byte
	at     int  // offset of src in the object
	pieces bool // src is a series of elements and not the octets themselves
	size   int
}

// Len returns the number of octets.
func (c *Content) Len() int { return c.size }

// Chunks iterates over the pieces in order, none of them copied.
func (c *Content) Chunks() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !c.pieces {
			yield(c.src)
			return
		}
		walk := newCursor(c.src)
		for {
			piece, ok := walk.piece(0)
			if !ok || !yield(piece) {
				return
			}
		}
	}
}

// Bytes returns the octets in one slice, which is part of the object where the
// sender wrote them in one piece.
func (c *Content) Bytes() []byte {
	if !c.pieces {
		return c.src
	}
	return c.AppendTo(make([]byte, 0, c.size))
}

// AppendTo appends the octets to dst.
func (c *Content) AppendTo(dst []byte) []byte {
	for piece := range c.Chunks() {
		dst = append(dst, piece...)
	}
	return dst
}

// octets reads an OCTET STRING under the given primitive tag, which may be
// implicit. A constructed one is measured and left in its pieces (X.690
// section 8.7.3).
func (c *cursor) octets(tag byte) Content {
	if c.peek() != tag|tagConstructed {
		b := c.primitive(tag)
		return Content{src: b, at: c.pos - len(b), size: len(b)}
	}
	if !c.enter(tag | tagConstructed) {
		return Content{}
	}
	base, start, size := c.depth, c.pos, 0
	for {
		piece, ok := c.piece(base)
		if !ok {
			break
		}
		size += len(piece)
	}
	end := c.pos
	c.leave()
	if c.err != nil {
		return Content{}
	}
	return Content{src: c.src[start:end:end], at: start, pieces: true, size: size}
}

// piece returns the next primitive OCTET STRING at or below depth base, where
// constructed ones may be nested.
func (c *cursor) piece(base int) ([]byte, bool) {
	for c.err == nil {
		switch c.peek() {
		case tagOctetString:
			b := c.primitive(tagOctetString)
			return b, c.err == nil
		case tagOctetString | tagConstructed:
			c.enter(tagOctetString | tagConstructed)
		case 0:
			if c.depth == base || c.err != nil {
				return nil, false
			}
			c.leave()
		default:
			c.fail("not an octet string")
		}
	}
	return nil, false
}

// octetBytes reads a short OCTET STRING under the given primitive tag.
func (c *cursor) octetBytes(tag byte) []byte {
	s := c.octets(tag)
	if c.err != nil {
		return nil
	}
	return s.Bytes()
}
