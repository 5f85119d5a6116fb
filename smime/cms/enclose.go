package cms

// Enclose returns a detached signature as one that bears its content. The
// signature stays what it is: it covers the content in either form (RFC 5652
// section 5.2). A content that the object has already is replaced.
func Enclose(object []byte, content [][]byte) (*Object, error) {
	c := newCursor(object)
	c.open(TypeSigned)
	c.enter(tagSequence)
	front := builder(nil)
	front.raw(c.raw()) // version
	front.raw(c.raw()) // digestAlgorithms
	c.enter(tagSequence)
	contentType := c.primitive(tagOID)
	if c.more() {
		c.skip()
	}
	c.leave()
	tail := builder(nil)
	for c.more() {
		tail.raw(c.raw())
	}
	c.leave()
	c.close()
	if c.err != nil {
		return nil, c.err
	}
	o := &Object{content: content, size: totalSize(content), tail: tail}
	l := newLayout(o.size)
	l.header(tagOctetString)
	l.header(tagContext0)
	l.prependOID(string(contentType))
	l.header(tagSequence)
	l.size += len(tail)
	l.prepend(front)
	l.wrap(oidSignedData)
	o.head = l.bytes()
	return o, nil
}
