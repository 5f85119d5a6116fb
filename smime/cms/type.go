package cms

// Type is a content type (RFC 5652 section 14). The known ones have the word of
// the smime-type parameter (RFC 8551 section 3.2.2), all others are the dotted
// form of their object identifier.
type Type string

// The content types that this package reads.
const (
	TypeData          Type = "data"
	TypeSigned        Type = "signed-data"
	TypeEnveloped     Type = "enveloped-data"
	TypeAuthEnveloped Type = "authEnveloped-data"
	TypeCompressed    Type = "compressed-data"
)

// typeOf names the content type of an object identifier.
func typeOf(oid []byte) Type {
	switch string(oid) {
	case oidData:
		return TypeData
	case oidSignedData:
		return TypeSigned
	case oidEnvelopedData:
		return TypeEnveloped
	case oidAuthEnvelopedData:
		return TypeAuthEnveloped
	case oidCompressedData:
		return TypeCompressed
	}
	return Type(dotted(oid))
}

// ContentType says what the object is, without a look at the rest of it.
func ContentType(ber []byte) (Type, error) {
	c := newCursor(ber)
	c.enter(tagSequence)
	oid := c.primitive(tagOID)
	if c.err != nil {
		return "", c.err
	}
	return typeOf(oid), nil
}

// open enters ContentInfo and its content, which must be of one of the types
// (RFC 5652 section 3). close leaves both.
func (c *cursor) open(want ...Type) Type {
	c.enter(tagSequence)
	oid := c.primitive(tagOID)
	if c.err != nil {
		return ""
	}
	got := typeOf(oid)
	for _, t := range want {
		if t == got {
			c.enter(tagContext0)
			return got
		}
	}
	c.fail("content type " + string(got))
	return got
}

// close leaves what open entered. Zero octets and line ends behind the object
// are let pass: they are left over from files, from padding and from transfer.
func (c *cursor) close() {
	c.leave()
	c.leave()
	c.filler()
}

// filler skips line ends and NULs behind the outermost element, and fails for all
// else.
func (c *cursor) filler() {
	for ; c.err == nil && c.pos < len(c.src); c.pos++ {
		if b := c.src[c.pos]; b != 0 && b != '\r' && b != '\n' {
			c.fail("trailing data")
		}
	}
}
