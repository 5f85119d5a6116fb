package ldapd

import (
	"errors"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// request is one LDAPMessage of a client (RFC 4511 section 4.1.1).
type request struct {
	id       int64
	op       *ber.Packet
	critical bool // it has a critical control; none is supported
}

var errRequest = errors.New("not an LDAP request")

// maxID is maxInt of RFC 4511 section 4.1.1.
const maxID = 1<<31 - 1

// parse reads a message that package ldapwire has looked at.
func parse(message []byte) (request, error) {
	p, err := ber.DecodePacketErr(message)
	if err != nil {
		return request{}, err
	}
	if len(p.Children) < 2 || len(p.Children) > 3 {
		return request{}, errRequest
	}
	id, ok := p.Children[0].Value.(int64)
	r := request{id: id, op: p.Children[1]}
	if !ok || id < 1 || id > maxID || r.op.ClassType != ber.ClassApplication {
		return request{}, errRequest
	}
	if len(p.Children) == 3 {
		r.critical = hasCritical(p.Children[2])
	}
	return r, nil
}

// hasCritical looks for a control with criticality TRUE (RFC 4511 section 4.1.11).
func hasCritical(controls *ber.Packet) bool {
	for _, c := range controls.Children {
		if len(c.Children) > 1 {
			if critical, ok := c.Children[1].Value.(bool); ok && critical {
				return true
			}
		}
	}
	return false
}

// text returns the octets of a primitive element, whatever its tag.
func text(p *ber.Packet) string { return p.Data.String() }

// bindRequest is that of RFC 4511 section 4.2.
type bindRequest struct {
	version        int64
	name, password string
	simple         bool
}

func parseBind(op *ber.Packet) (b bindRequest, err error) {
	if len(op.Children) != 3 {
		return b, errRequest
	}
	var ok bool
	if b.version, ok = op.Children[0].Value.(int64); !ok {
		return b, errRequest
	}
	b.name = text(op.Children[1])
	credentials := op.Children[2]
	b.simple = credentials.ClassType == ber.ClassContext && credentials.Tag == 0 && credentials.TagType == ber.TypePrimitive
	b.password = text(credentials)
	return b, nil
}

// searchRequest is that of RFC 4511 section 4.5.1.
type searchRequest struct {
	base      string
	scope     int64
	sizeLimit int64
	typesOnly bool
	filter    filter
	selection []string
}

func parseSearch(op *ber.Packet) (s searchRequest, err error) {
	if len(op.Children) != 8 {
		return s, errRequest
	}
	var ok [3]bool
	s.base = text(op.Children[0])
	s.scope, ok[0] = op.Children[1].Value.(int64)
	s.sizeLimit, ok[1] = op.Children[3].Value.(int64)
	s.typesOnly, ok[2] = op.Children[5].Value.(bool)
	if ok != [3]bool{true, true, true} || s.scope < 0 || s.scope > 2 || s.sizeLimit < 0 {
		return s, errRequest
	}
	if s.filter, err = parseFilter(op.Children[6]); err != nil {
		return s, err
	}
	for _, a := range op.Children[7].Children {
		s.selection = append(s.selection, text(a))
	}
	return s, nil
}

// reply makes a message to a client.
func reply(id int64, op *ber.Packet) []byte {
	m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	return m.Bytes()
}

// result makes an LDAPResult (RFC 4511 section 4.1.9).
func result(tag ber.Tag, code int64, diagnosis string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, diagnosis, ""))
	return p
}

// extended makes an ExtendedResponse with a name (RFC 4511 section 4.12).
func extended(code int64, name, diagnosis string) *ber.Packet {
	p := result(ldap.ApplicationExtendedResponse, code, diagnosis)
	if name != "" {
		p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, name, ""))
	}
	return p
}

// entryReply makes a SearchResultEntry (RFC 4511 section 4.5.2).
func entryReply(e *entry, s searchRequest) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, e.dn, ""))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for _, a := range e.selected(s.selection) {
		attribute := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		attribute.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, a.name, ""))
		values := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a.values {
			if !s.typesOnly {
				values.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
			}
		}
		attribute.AppendChild(values)
		list.AppendChild(attribute)
	}
	p.AppendChild(list)
	return p
}
