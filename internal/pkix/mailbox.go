package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Where a certificate names mailboxes: the extension with the alternative names, its
// SmtpUTF8Mailbox (RFC 9598 section 3), and the attribute of the subject.
var (
	OIDSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	OIDSMTPUTF8Mailbox = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}
	OIDEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
var (
	tagOtherName = cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()
	tagRFC822    = cryptobyte_asn1.Tag(1).ContextSpecific()
)

// Mailbox is a name as it stands in a certificate.
type Mailbox struct {
	Text string
	UTF8 bool // SmtpUTF8Mailbox
}

// Mailboxes returns the names of cert that are meant as mailboxes, whether they
// are well-formed or not.
func Mailboxes(cert *x509.Certificate) []Mailbox {
	names := alternativeMailboxes(cert)
	if len(names) > 0 {
		return names
	}
	for _, n := range cert.Subject.Names {
		if text, ok := n.Value.(string); ok && n.Type.Equal(OIDEmailAddress) {
			names = append(names, Mailbox{Text: text})
		}
	}
	return names
}

func alternativeMailboxes(cert *x509.Certificate) []Mailbox {
	var names []Mailbox
	for _, e := range cert.Extensions {
		if !e.Id.Equal(OIDSubjectAltName) {
			continue
		}
		EachGeneralName(e.Value, func(tag cryptobyte_asn1.Tag, value cryptobyte.String) {
			switch tag {
			case tagRFC822:
				names = append(names, Mailbox{Text: string(value)})
			case tagOtherName:
				if text, ok := UTF8Mailbox(value); ok {
					names = append(names, Mailbox{Text: text, UTF8: true})
				}
			}
		})
	}
	return names
}

// EachGeneralName calls f for every name of a GeneralNames; what follows a name
// that is not well-formed is left out.
func EachGeneralName(der []byte, f func(cryptobyte_asn1.Tag, cryptobyte.String)) {
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

// UTF8Mailbox returns the text of an otherName if it is an SmtpUTF8Mailbox.
func UTF8Mailbox(other cryptobyte.String) (string, bool) {
	var id asn1.ObjectIdentifier
	var value, text cryptobyte.String
	if !other.ReadASN1ObjectIdentifier(&id) || !id.Equal(OIDSMTPUTF8Mailbox) ||
		!other.ReadASN1(&value, cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()) ||
		!value.ReadASN1(&text, cryptobyte_asn1.UTF8String) {
		return "", false
	}
	return string(text), true
}

// IsASCII reports whether s has no octet above 127.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
