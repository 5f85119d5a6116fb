package pkix

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	errNoCertificate = errors.New("certificate: not well-formed DER")
	errBehind        = errors.New("certificate: something else stands behind it")
	errAlgorithms    = errors.New("certificate: the signature algorithms inside and outside differ")
	errVersion       = errors.New("certificate: its version is not 1, 2 or 3")
)

func malformed(part string) error {
	return fmt.Errorf("certificate: its %s is not well-formed", part)
}

// ParseCertificate reads a certificate (RFC 5280 section 4.1). It is the only
// reader of certificates here: crypto/x509 refuses whole certificates for parts
// that mail has no use for, such as the characters of a PrintableString. What is
// refused is what cannot be delimited, and what a verdict would rest on: dates,
// the extensions that path validation processes, a signature algorithm that is not
// the signed one. A key of a kind that is not supported is a nil PublicKey.
//
// The encoding is DER; the exceptions are BOOLEANs other than 0xff for true and
// bit strings of flags with spare bits set, which all readers accept.
//
// Not filled are URIs and the parsed forms of most name constraints: package certs
// reads them from Extensions. SignedBy is what checks a signature.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	in := cryptobyte.String(TrimDER(der))
	var outer, body, tbs, algorithm cryptobyte.String
	c := &x509.Certificate{}
	if !in.ReadASN1Element(&outer, cryptobyte_asn1.SEQUENCE) {
		return nil, errNoCertificate
	}
	if !in.Empty() {
		return nil, errBehind
	}
	c.Raw = outer
	if !outer.ReadASN1(&body, cryptobyte_asn1.SEQUENCE) ||
		!body.ReadASN1Element(&tbs, cryptobyte_asn1.SEQUENCE) ||
		!body.ReadASN1Element(&algorithm, cryptobyte_asn1.SEQUENCE) ||
		!body.ReadASN1BitStringAsBytes(&c.Signature) || !body.Empty() {
		return nil, errNoCertificate
	}
	c.RawTBSCertificate = tbs
	signed, err := readTBS(c, tbs)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(signed, algorithm) { // RFC 5280 section 4.1.1.2
		return nil, errAlgorithms
	}
	fillLibraryNames(c)
	return c, nil
}

// readTBS reads the signed part into c, and returns the algorithm that it names.
func readTBS(c *x509.Certificate, tbs cryptobyte.String) (algorithm []byte, err error) {
	var s, signed, issuer, validity, subject, info cryptobyte.String
	if !tbs.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) {
		return nil, errNoCertificate
	}
	if err := readVersion(c, &s); err != nil {
		return nil, err
	}
	c.SerialNumber = new(big.Int)
	if !s.ReadASN1Integer(c.SerialNumber) { // of any sign and size
		return nil, malformed("serial number")
	}
	if !s.ReadASN1Element(&signed, cryptobyte_asn1.SEQUENCE) ||
		!s.ReadASN1Element(&issuer, cryptobyte_asn1.SEQUENCE) ||
		!s.ReadASN1(&validity, cryptobyte_asn1.SEQUENCE) ||
		!s.ReadASN1Element(&subject, cryptobyte_asn1.SEQUENCE) ||
		!s.ReadASN1Element(&info, cryptobyte_asn1.SEQUENCE) {
		return nil, errNoCertificate
	}
	if !readTime(&validity, &c.NotBefore) || !readTime(&validity, &c.NotAfter) || !validity.Empty() {
		return nil, malformed("validity")
	}
	c.RawIssuer, c.RawSubject, c.RawSubjectPublicKeyInfo = issuer, subject, info
	if !fillName(&c.Issuer, issuer) {
		return nil, malformed("issuer")
	}
	if !fillName(&c.Subject, subject) {
		return nil, malformed("subject")
	}
	if err := readKeyOf(c, info); err != nil {
		return nil, err
	}
	return signed, readTrailer(c, &s)
}

func readVersion(c *x509.Certificate, s *cryptobyte.String) error {
	var version int
	if !s.ReadOptionalASN1Integer(&version, cryptobyte_asn1.Tag(0).ContextSpecific().Constructed(), 0) {
		return malformed("version")
	}
	if version < 0 || version > 2 {
		return errVersion
	}
	c.Version = version + 1
	return nil
}

// readTime reads UTCTime or GeneralizedTime in the forms of RFC 5280 section
// 4.1.2.5, with seconds and in Greenwich time, which the length tells from all
// others: they are read differently by different readers.
func readTime(s *cryptobyte.String, t *time.Time) bool {
	peek := *s
	var text cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !peek.ReadAnyASN1(&text, &tag) {
		return false
	}
	switch tag {
	case cryptobyte_asn1.UTCTime:
		return len(text) == len("060102150405Z") && s.ReadASN1UTCTime(t)
	case cryptobyte_asn1.GeneralizedTime:
		return len(text) == len("20060102150405Z") && s.ReadASN1GeneralizedTime(t)
	}
	return false
}

// readKeyOf reads the key. One that cannot be used leaves the certificate
// readable: KeyName says what it is.
func readKeyOf(c *x509.Certificate, info cryptobyte.String) error {
	k, ok := ReadKeyInfo(info)
	if !ok {
		return malformed("public key")
	}
	c.PublicKey = k.key()
	return nil
}

// PublicKey returns the key of c, nil if its kind is not supported or it is not
// well-formed: an *rsa.PublicKey, PSSKey, *ecdsa.PublicKey, BrainpoolKey,
// ed25519.PublicKey, *ecdh.PublicKey (X25519, RFC 8410), *MLDSAKey (RFC 9881), *SLHDSAKey (RFC 9909) or
// *KEMKey (RFC 9935).
func PublicKey(c *x509.Certificate) crypto.PublicKey {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	// Certificates that others parsed, such as those just issued, lack the keys
	// that crypto/x509 does not know.
	if k, ok := ReadKeyInfo(c.RawSubjectPublicKeyInfo); ok {
		return k.key()
	}
	return nil
}

// readTrailer reads what may follow the key: unique identifiers, which say
// nothing, and the extensions, whatever the version says.
func readTrailer(c *x509.Certificate, s *cryptobyte.String) error {
	if !s.SkipOptionalASN1(cryptobyte_asn1.Tag(1).ContextSpecific()) ||
		!s.SkipOptionalASN1(cryptobyte_asn1.Tag(2).ContextSpecific()) {
		return errNoCertificate
	}
	var tagged, list cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&tagged, &present, cryptobyte_asn1.Tag(3).ContextSpecific().Constructed()) || !s.Empty() {
		return errNoCertificate
	}
	if !present {
		return nil
	}
	if !tagged.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) || !tagged.Empty() {
		return malformed("list of extensions")
	}
	return readExtensions(c, list)
}

// fillName fills the library's form of a DER Name.
func fillName(n *pkix.Name, der []byte) bool {
	var seq pkix.RDNSequence
	ok := eachRDN(der, func(set cryptobyte.String) bool {
		var rdn pkix.RelativeDistinguishedNameSET
		for !set.Empty() {
			a, ok := readAttribute(&set)
			if !ok {
				return false
			}
			rdn = append(rdn, pkix.AttributeTypeAndValue{Type: saturated(a.id), Value: a.value()})
		}
		seq = append(seq, rdn)
		return true
	})
	n.FillFromRDNSequence(&seq)
	return ok
}
