package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/address"
	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSMTPUTF8Mailbox = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
var (
	tagOtherName = cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()
	tagRFC822    = cryptobyte_asn1.Tag(1).ContextSpecific()
)

// Addresses returns the mailboxes that cert names: the rfc822Names and
// SmtpUTF8Mailboxes (RFC 9598) of the subjectAltName and, only where that holds
// no mailbox at all, the emailAddress of the subject (RFC 8550 section 3). A
// name that is not exactly one addr-spec, by a blank, a control, a NUL or a second
// "@", names nobody.
func Addresses(cert *x509.Certificate) []address.Address {
	names := mailboxes(cert)
	var list []address.Address
	seen := map[string]bool{}
	for _, n := range names {
		a, err := n.parse()
		if err != nil || seen[a.Key(address.ExactCase)] {
			continue
		}
		seen[a.Key(address.ExactCase)] = true
		list = append(list, a)
	}
	return list
}

// mailbox is a name as it stands in a certificate.
type mailbox struct {
	text string
	utf8 bool // SmtpUTF8Mailbox
}

func (m mailbox) parse() (address.Address, error) {
	if !m.utf8 && !isASCII(m.text) {
		return address.Address{}, errNotIA5
	}
	return address.Parse(m.text)
}

// mailboxes returns the names of cert that are meant as mailboxes, whether they
// are well-formed or not.
func mailboxes(cert *x509.Certificate) []mailbox {
	names := alternativeMailboxes(cert)
	if len(names) > 0 {
		return names
	}
	for _, n := range cert.Subject.Names {
		if text, ok := n.Value.(string); ok && n.Type.Equal(oidEmailAddress) {
			names = append(names, mailbox{text: text})
		}
	}
	return names
}

func alternativeMailboxes(cert *x509.Certificate) []mailbox {
	var names []mailbox
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		eachGeneralName(e.Value, func(tag cryptobyte_asn1.Tag, value cryptobyte.String) {
			switch tag {
			case tagRFC822:
				names = append(names, mailbox{text: string(value)})
			case tagOtherName:
				if text, ok := utf8Mailbox(value); ok {
					names = append(names, mailbox{text: text, utf8: true})
				}
			}
		})
	}
	return names
}

// eachGeneralName calls f for every name of a GeneralNames; what follows a name
// that is not well-formed is left out.
func eachGeneralName(der []byte, f func(cryptobyte_asn1.Tag, cryptobyte.String)) {
	outer := cryptobyte.String(der)
	var names cryptobyte.String
	if !outer.ReadASN1(&names, cryptobyte_asn1.SEQUENCE) {
		return
	}
	for !names.Empty() {
		var value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !names.ReadAnyASN1(&value, &tag) {
			return
		}
		f(tag, value)
	}
}

// utf8Mailbox returns the text of an otherName if it is an SmtpUTF8Mailbox.
func utf8Mailbox(other cryptobyte.String) (string, bool) {
	var id asn1.ObjectIdentifier
	var value, text cryptobyte.String
	if !other.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidSMTPUTF8Mailbox) ||
		!other.ReadASN1(&value, cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()) ||
		!value.ReadASN1(&text, cryptobyte_asn1.UTF8String) {
		return "", false
	}
	return string(text), true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
