package ldapd

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// attrMail is the attribute with the address, in lower case.
const attrMail = "mail"

// attribute is one with its values.
type attribute struct {
	name   string // as it is sent
	values []string
	// hidden ones are compared and not sent, operational ones are sent to those who ask
	// for them by name, or for all by "+".
	hidden, operational bool
}

// entry is what a search finds.
type entry struct {
	dn         string
	attributes []attribute
}

// person makes the entry of an address, but for what complete adds.
func person(e *publish.Entry, base string) *entry {
	mail := e.Address.String()
	name := mail
	if cn := e.Certificates[0].Subject.CommonName; cn != "" {
		name = cn
	}
	return &entry{dn: "mail=" + ldap.EscapeDN(mail) + "," + base, attributes: []attribute{
		{name: "objectClass", values: []string{"top", "person", "organizationalPerson", "inetOrgPerson"}},
		{name: "cn", values: []string{name}},
		{name: "sn", values: []string{name}},
		{name: "displayName", values: []string{name}},
		{name: "mail", values: []string{mail}},
		{name: "userCertificate;binary", values: ders(e.Certificates)},
		{name: bundleName, values: []string{""}},
		{name: "proxyAddresses", values: []string{"SMTP:" + mail}, hidden: true},
		{name: "objectCategory", values: []string{"person"}, hidden: true},
	}}
}

// bundleName is the attribute with certificates and their chain (RFC 2798 section 2.8).
const bundleName = "userSMIMECertificate;binary"

// complete puts the certificates into the entry of e. It is dear, and not done for all with
// which a filter is compared.
func (p *entry) complete(e *publish.Entry) error {
	bundle, err := file.EncodeBundle(slices.Concat(e.Certificates, e.Chain))
	if err != nil {
		return err
	}
	for i := range p.attributes {
		if p.attributes[i].name == bundleName {
			p.attributes[i].values = []string{string(bundle)}
		}
	}
	return nil
}

func ders(list []*x509.Certificate) []string {
	values := make([]string, len(list))
	for i, c := range list {
		values[i] = string(c.Raw)
	}
	return values
}

// synonyms are other names of attributes (RFC 4519, RFC 4524).
var synonyms = map[string]string{"commonname": "cn", "surname": "sn", "rfc822mailbox": attrMail}

// values returns those of an attribute, and whether it is known at all.
func (e *entry) values(name string) ([]string, bool) {
	if s, ok := synonyms[name]; ok {
		name = s
	}
	for i := range e.attributes {
		if base(e.attributes[i].name) == name {
			return e.attributes[i].values, true
		}
	}
	return nil, false
}

// selected returns the attributes that a client asked for (RFC 4511 section 4.5.1.8), by
// the names by which it did: some know userCertificate without ;binary only.
func (e *entry) selected(selection []string) []attribute {
	all := len(selection) == 0 || slices.Contains(selection, "*")
	operational := slices.Contains(selection, "+")
	var list []attribute
	for _, a := range e.attributes {
		if a.hidden {
			continue
		}
		asked := slices.IndexFunc(selection, func(s string) bool {
			name := base(s)
			if synonym, ok := synonyms[name]; ok {
				name = synonym
			}
			return name == base(a.name)
		})
		if asked >= 0 && !strings.EqualFold(selection[asked], a.name) {
			a.name = selection[asked]
		}
		if asked >= 0 || all && !a.operational || operational && a.operational {
			list = append(list, a)
		}
	}
	return list
}

// root is the root DSE (RFC 4512 section 5.1).
func root(base string, startTLS bool) *entry {
	e := &entry{attributes: []attribute{
		{name: "objectClass", values: []string{"top"}},
		{name: "namingContexts", values: []string{base}, operational: true},
		{name: "subschemaSubentry", values: []string{schemaDN}, operational: true},
		{name: "supportedLDAPVersion", values: []string{"3"}, operational: true},
		{name: "vendorName", values: []string{"smimerelay"}, operational: true},
	}}
	if startTLS {
		e.attributes = append(e.attributes, attribute{name: "supportedExtension", values: []string{oidStartTLS}, operational: true})
	}
	return e
}

// container is the entry above all others.
func container(base string) *entry {
	return &entry{dn: base, attributes: []attribute{
		{name: "objectClass", values: []string{"top", "organizationalUnit"}},
		{name: "ou", values: []string{"certificates"}},
	}}
}

// schemaDN is where the schema is.
const schemaDN = "cn=Subschema"

// schema is what clients must know of the attributes (RFC 4512 section 4.2, with those of
// RFC 2798, 4519, 4523 and 4524).
func schema() *entry {
	return &entry{dn: schemaDN, attributes: []attribute{
		{name: "objectClass", values: []string{"top", "subentry", "subschema"}},
		{name: "cn", values: []string{"Subschema"}},
		{name: "objectClasses", operational: true, values: []string{
			"( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
			"( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou )",
			"( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) )",
			"( 2.5.6.7 NAME 'organizationalPerson' SUP person STRUCTURAL )",
			"( 2.16.840.1.113730.3.2.2 NAME 'inetOrgPerson' SUP organizationalPerson STRUCTURAL MAY ( displayName $ mail $ userCertificate $ userSMIMECertificate ) )",
		}},
		{name: "attributeTypes", operational: true, values: []string{
			"( 2.5.4.0 NAME 'objectClass' SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )",
			"( 2.5.4.3 NAME ( 'cn' 'commonName' ) SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
			"( 2.5.4.4 NAME ( 'sn' 'surname' ) SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
			"( 2.5.4.11 NAME ( 'ou' 'organizationalUnitName' ) SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
			"( 2.5.4.36 NAME 'userCertificate' SYNTAX 1.3.6.1.4.1.1466.115.121.1.8 )",
			"( 0.9.2342.19200300.100.1.3 NAME ( 'mail' 'rfc822Mailbox' ) SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )",
			"( 2.16.840.1.113730.3.1.241 NAME 'displayName' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )",
			"( 2.16.840.1.113730.3.1.40 NAME 'userSMIMECertificate' SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )",
		}},
	}}
}

// mailOf returns the address in the name of an entry, if the name is one below base.
func mailOf(dn, base *ldap.DN) (address.Address, bool) {
	if len(dn.RDNs) != len(base.RDNs)+1 || !base.AncestorOfFold(dn) || len(dn.RDNs[0].Attributes) != 1 {
		return address.Address{}, false
	}
	rdn := dn.RDNs[0].Attributes[0]
	a, err := address.Parse(rdn.Value)
	return a, err == nil && !a.IsNull() && strings.EqualFold(rdn.Type, attrMail)
}
