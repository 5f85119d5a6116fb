package testpki

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSMTPUTF8Mailbox = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}
)

// addAlternativeNames writes the subjectAltName extension: crypto/x509 knows no
// otherName and refuses names that tests need.
func addAlternativeNames(t *x509.Certificate, l Leaf) error {
	var names []byte
	for _, a := range l.Addresses {
		name, err := mailboxName(a)
		if err != nil {
			return err
		}
		names = append(names, name...)
	}
	for _, a := range l.UTF8Addresses {
		name, err := utf8Mailbox(a)
		if err != nil {
			return err
		}
		names = append(names, name...)
	}
	if len(names) == 0 {
		return nil
	}
	value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: names})
	if err != nil {
		return fmt.Errorf("subjectAltName: %w", err)
	}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidSubjectAltName, Value: value})
	return nil
}

func mailboxName(addr string) ([]byte, error) {
	local, _, _ := strings.Cut(addr, "@")
	if strings.ContainsFunc(local, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return utf8Mailbox(addr)
	}
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: []byte(addr)})
}

// utf8Mailbox returns the otherName of RFC 9598 section 3.
func utf8Mailbox(addr string) ([]byte, error) {
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	text, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(addr)})
	if err != nil {
		return nil, fmt.Errorf("mailbox %q: %w", addr, err)
	}
	value := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text}
	der, err := asn1.MarshalWithParams(otherName{oidSMTPUTF8Mailbox, value}, "tag:0")
	if err != nil {
		return nil, fmt.Errorf("mailbox %q: %w", addr, err)
	}
	return der, nil
}

// keyID returns a subject key identifier (RFC 7093 section 2, method 1).
func keyID(pub crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(der)
	return sum[:20]
}
