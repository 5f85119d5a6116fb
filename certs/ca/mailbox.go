package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	pki "github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Upper bounds of RFC 5280 appendix A.1, in characters.
const (
	maxCommonName   = 64
	maxEmailAddress = 255
)

// mailbox is an address as it stands in a certificate: the local part as given,
// the domain in A-labels.
func mailbox(a address.Address) (string, error) {
	if a.IsNull() {
		return "", errors.New("address: the null sender has no certificate")
	}
	if strings.HasPrefix(a.Domain(), "[") {
		return "", fmt.Errorf("address %q: has an address literal and no domain", a)
	}
	text := a.String()
	if strings.HasPrefix(text, `"`) {
		// RFC 5280 has room for them, and many who read certificates have not.
		return "", fmt.Errorf("address %q: a local part in quotes is not certified", a)
	}
	return text[:strings.LastIndexByte(text, '@')+1] + a.Domain(), nil
}

// Name enters an address in a template: as the one name of subjectAltName (RFC
// 5280 section 4.2.1.6, RFC 9598 where the local part is not ASCII) and, as far as
// the bounds of a subject let it, as the subject (BR 7.1.4.2).
func Name(t *x509.Certificate, a address.Address) error {
	text, err := mailbox(a)
	if err != nil {
		return err
	}
	switch {
	case utf8.RuneCountInString(text) <= maxCommonName:
		t.Subject.CommonName = text
	case a.ASCII() && len(text) <= maxEmailAddress:
		t.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{
			Type: pki.OIDEmailAddress, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)},
		}}
	}
	general, err := generalName(text, a.ASCII())
	if err != nil {
		return fmt.Errorf("address %q: %w", a, err)
	}
	names, err := asn1.Marshal([]asn1.RawValue{general})
	if err != nil {
		return fmt.Errorf("address %q: %w", a, err)
	}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{
		Id: pki.OIDSubjectAltName, Value: names,
		// RFC 5280 section 4.2.1.6: critical where the subject is empty.
		Critical: t.Subject.CommonName == "" && len(t.Subject.ExtraNames) == 0,
	})
	return nil
}

func generalName(text string, ascii bool) (asn1.RawValue, error) {
	if ascii {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: []byte(text)}, nil
	}
	id, err := asn1.Marshal(pki.OIDSMTPUTF8Mailbox)
	if err != nil {
		return asn1.RawValue{}, err
	}
	utf8Text, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(text)})
	if err != nil {
		return asn1.RawValue{}, err
	}
	value, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: utf8Text})
	if err != nil {
		return asn1.RawValue{}, err
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: append(id, value...)}, nil
}
