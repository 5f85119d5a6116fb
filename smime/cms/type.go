package cms

import "crypto/x509"

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

// oid returns the contents octets of t's object identifier.
func (t Type) oid() (string, error) {
	switch t {
	case "", TypeData:
		return oidData, nil
	case TypeSigned:
		return oidSignedData, nil
	case TypeEnveloped:
		return oidEnvelopedData, nil
	case TypeAuthEnveloped:
		return oidAuthEnvelopedData, nil
	case TypeCompressed:
		return oidCompressedData, nil
	}
	id, err := x509.ParseOID(string(t))
	if err != nil {
		return "", malformed("content type %q is no object identifier", string(t))
	}
	contents, err := id.MarshalBinary()
	if err != nil || len(contents) > 125 {
		return "", malformed("content type %q", string(t))
	}
	return string(contents), nil
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
