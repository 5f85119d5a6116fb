package pkix

import (
	"crypto/x509"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// attributeNames are how people write the attributes of names: those of RFC 4514
// section 3 and RFC 4519, those of the S/MIME Baseline Requirements (section
// 7.1.4.2), and the ones that go with them, as OpenSSL spells them.
var attributeNames = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.4":                    "SN",
	"2.5.4.5":                    "serialNumber",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "street",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.12":                   "title",
	"2.5.4.13":                   "description",
	"2.5.4.15":                   "businessCategory",
	"2.5.4.16":                   "postalAddress",
	"2.5.4.17":                   "postalCode",
	"2.5.4.18":                   "postOfficeBox",
	"2.5.4.20":                   "telephoneNumber",
	"2.5.4.41":                   "name",
	"2.5.4.42":                   "GN",
	"2.5.4.43":                   "initials",
	"2.5.4.44":                   "generationQualifier",
	"2.5.4.45":                   "x500UniqueIdentifier",
	"2.5.4.46":                   "dnQualifier",
	"2.5.4.65":                   "pseudonym",
	"2.5.4.97":                   "organizationIdentifier",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.3":  "mail",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
	"1.2.840.113549.1.9.2":       "unstructuredName",
	"1.2.840.113549.1.9.8":       "unstructuredAddress",
	"1.3.6.1.4.1.311.60.2.1.1":   "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2":   "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3":   "jurisdictionC",
	"1.3.6.1.5.5.7.9.1":          "dateOfBirth",
	"1.3.6.1.5.5.7.9.2":          "placeOfBirth",
	"1.3.6.1.5.5.7.9.3":          "gender",
	"1.3.6.1.5.5.7.9.4":          "countryOfCitizenship",
	"1.3.6.1.5.5.7.9.5":          "countryOfResidence",
}

// SubjectString and IssuerString are the names of a certificate as NameString
// writes them.
func SubjectString(c *x509.Certificate) string { return NameString(c.RawSubject) }

// IssuerString is the issuer's.
func IssuerString(c *x509.Certificate) string { return NameString(c.RawIssuer) }

// NameString writes a DER Name as people do (RFC 4514): the last part first, with
// the names of attributes, and the text of whatever is text. Controls, and what
// makes a line read in another direction, are escaped: strangers write names. What
// is no Name is written in hexadecimal.
func NameString(raw []byte) string {
	var rdns []string
	ok := eachRDN(raw, func(set cryptobyte.String) bool {
		var parts []string
		for !set.Empty() {
			a, ok := readAttribute(&set)
			if !ok {
				return false
			}
			parts = append(parts, a.String())
		}
		rdns = append(rdns, strings.Join(parts, "+"))
		return true
	})
	if !ok {
		return "#" + hex.EncodeToString(raw)
	}
	var b strings.Builder
	for i := len(rdns) - 1; i >= 0; i-- {
		b.WriteString(rdns[i])
		if i > 0 {
			b.WriteByte(',')
		}
	}
	return b.String()
}

// attribute is one AttributeTypeAndValue.
type attribute struct {
	id      x509.OID
	tag     cryptobyte_asn1.Tag
	content []byte
	element []byte // tag, length and content
}

func readAttribute(set *cryptobyte.String) (a attribute, ok bool) {
	var s, element, content cryptobyte.String
	if !set.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) {
		return a, false
	}
	if a.id, ok = readOID(&s); !ok || !s.ReadAnyASN1Element(&element, &a.tag) || !s.Empty() {
		return a, false
	}
	a.element = element
	ok = element.ReadAnyASN1(&content, &a.tag)
	a.content = content
	return a, ok
}

// value is what the library's form of a name holds: text, or octets.
func (a attribute) value() any {
	if text, ok := a.text(); ok {
		return text
	}
	return a.element
}

// text is the text of a value of a string type. What is not in the characters of
// its type is Latin-1 in practice; it is compared by its octets all the same.
func (a attribute) text() (string, bool) {
	if text, ok := decodeString(a.tag, a.content); ok {
		return text, true
	}
	switch a.tag {
	case cryptobyte_asn1.UTF8String, cryptobyte_asn1.PrintableString, cryptobyte_asn1.IA5String, tagNumericString, tagVisibleString:
		return latin1(a.content), true
	}
	return "", false
}

func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// String is the attribute by RFC 4514 section 2.3.
func (a attribute) String() string {
	id := a.id.String()
	name, known := attributeNames[id]
	if !known {
		name = id
	}
	if text, ok := a.text(); ok {
		return name + "=" + escapeValue(text)
	}
	return name + "=#" + hex.EncodeToString(a.element)
}

// escapeValue escapes what RFC 4514 section 2.4 says, and what must not reach a
// terminal or a log, as the hexadecimal of its octets.
func escapeValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		first, last := i == 0, i+utf8.RuneLen(r) == len(s)
		switch {
		case strings.ContainsRune(`"+,;<>\`, r), r == '#' && first, r == ' ' && (first || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default: // controls, separators, marks of direction, what has no glyph
			for _, octet := range []byte(string(r)) {
				b.WriteByte('\\')
				b.WriteString(hex.EncodeToString([]byte{octet}))
			}
		}
	}
	return b.String()
}
