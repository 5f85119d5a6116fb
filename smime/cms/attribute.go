package cms

import (
	"encoding/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Attribute is an attribute of a signer (RFC 5652 section 5.3). Protocols on top of
// CMS have their own, signed and not: SCEP its transaction (RFC 8894 section 3.2.1),
// CAdES and Authenticode a time stamp.
type Attribute struct {
	Type asn1.ObjectIdentifier
	// Values are whole elements, DER when they are written, BER as they came when
	// they are read.
	Values [][]byte
}

// NewAttribute returns an attribute with one value, as package encoding/asn1 writes
// it.
func NewAttribute(id asn1.ObjectIdentifier, value any) (Attribute, error) {
	der, err := asn1.Marshal(value)
	if err != nil {
		return Attribute{}, malformed("attribute %v: %v", id, err)
	}
	return Attribute{Type: id, Values: [][]byte{der}}, nil
}

// element returns a in DER.
func (a Attribute) element() ([]byte, error) {
	oid, err := oidContents(a.Type)
	if err != nil {
		return nil, err
	}
	if knownAttribute(oid) {
		return nil, unsupported("attribute %v is written by Sign itself", a.Type)
	}
	if len(a.Values) == 0 {
		return nil, malformed("attribute %v without a value", a.Type)
	}
	b := make(builder, 0, 64)
	m := b.open(tagSequence)
	b.tlv(tagOID, oid)
	values := newSetOf(64)
	for _, v := range a.Values {
		der, err := DER(v)
		if err != nil {
			return nil, malformed("attribute %v: its value is not one element", a.Type)
		}
		values.add(der)
	}
	values.appendTo(&b, tagSet)
	b.close(m)
	return b, nil
}

// addAttributes adds attributes of the caller's, each type once.
func addAttributes(set *setOf, list []Attribute) error {
	seen := map[string]bool{}
	for _, a := range list {
		der, err := a.element()
		if err != nil {
			return err
		}
		if id := a.Type.String(); seen[id] {
			return malformed("attribute %s twice", id)
		} else {
			seen[id] = true
		}
		set.add(der)
	}
	return nil
}

// SignedAttributes returns all that the signature covers, nil where it is not good. The
// values are octets of the object: they are read at each call, as mail asks for none.
func (r *SignerResult) SignedAttributes() []Attribute { return readAttributes(r.signed) }

// UnsignedAttributes returns what stands beside the signature and proves nothing by
// itself, nil where the signature is not good.
func (r *SignerResult) UnsignedAttributes() []Attribute { return readAttributes(r.unsigned) }

// readAttributes reads what a good signature has, under either tag; nil where the
// element is absent or not well-formed.
func readAttributes(raw []byte) []Attribute {
	if raw == nil {
		return nil
	}
	c := newCursor(raw)
	var list []Attribute
	c.enter(raw[0])
	for c.more() && len(list) < maxAttributeCount {
		c.enter(tagSequence)
		a := Attribute{Type: pkix.ObjectIdentifier(c.primitive(tagOID))}
		c.enter(tagSet)
		for c.more() {
			a.Values = append(a.Values, c.raw())
		}
		c.leave()
		c.leave()
		list = append(list, a)
	}
	if c.err != nil {
		return nil
	}
	return list
}

// oidContents returns the contents octets of an object identifier.
func oidContents(id asn1.ObjectIdentifier) ([]byte, error) {
	der, err := asn1.Marshal(id)
	if err != nil || len(der) < 3 || len(der) > 127 {
		return nil, malformed("object identifier %v", id)
	}
	return der[2:], nil
}
