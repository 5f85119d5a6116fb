// Package pkcs12 takes PKCS #12 files (RFC 7292) apart, as programs in use write
// them: with any number of keys and safes, in DER or with indefinite lengths,
// under the algorithms of package pbe, with the integrity check of PKCS #12 or
// PBMAC1 (RFC 9579), or without one. It returns what is in the bags and leaves
// its meaning to the caller. Writing is the business of a library: only reading
// must cope with everybody.
package pkcs12

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// errMalformed: the file is truncated, damaged, or no PKCS #12.
var errMalformed = errors.New("PKCS #12 that is truncated or not well-formed; get the file again")

// maxBags limits what one file may hold.
const maxBags = 10_000

// Contents are the bags of a file that hold keys and certificates, in order.
// Secret keys and revocation lists are passed over.
type Contents struct {
	Keys         []Key
	Certificates [][]byte // DER
	// Protected reports that the password was checked: that something was under
	// it.
	Protected bool
}

// Key is a private key.
type Key struct {
	Info []byte // PrivateKeyInfo of PKCS #8, in DER
	Name string // the friendly name, "" if it has none
}

// Object identifiers of RFC 7292 section 4.2 and of RFC 5652.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	context0 = cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()
)

// A reader reads one file.
type reader struct {
	forms  []pbe.Form
	budget *pbe.Budget
	bags   int
	out    Contents
}

// Decode opens a file with its password. Errors are one line, with what to do;
// errMalformed and those of package pbe are among them.
func Decode(file []byte, password string) (*Contents, error) {
	return decode(file, password, pbe.NewBudget(pbe.PerFile))
}

func decode(file []byte, password string, budget *pbe.Budget) (*Contents, error) {
	s, err := normalized(file)
	if err != nil {
		return nil, err
	}
	var version int
	if !s.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) || !s.ReadASN1Integer(&version) {
		return nil, errMalformed
	}
	if version == 0 { // PrivateKeyInfo (RFC 5958) and RSAPrivateKey (RFC 8017) begin so, too
		return nil, errors.New("a private key without a certificate, in DER and not in PKCS #12; put both into a PEM file: openssl pkey -in OLD -out NEW, and the certificate behind it")
	}
	if version != 3 {
		return nil, fmt.Errorf("PKCS #12 of version %d: only version 3 is supported; export it again with another program", version)
	}
	id, content, err := contentInfo(&s)
	if err != nil {
		return nil, err
	}
	if id.Equal(oidSignedData) {
		return nil, errors.New("PKCS #12 in public-key integrity mode is not supported; export it again with a password")
	}
	safes, err := octets(&content)
	if err != nil || !id.Equal(oidData) {
		return nil, errMalformed
	}
	r := &reader{forms: pbe.Forms(password), budget: budget}
	if err := r.checkMAC(s, safes); err != nil {
		return nil, err
	}
	if err := r.safes(safes); err != nil {
		return nil, err
	}
	return &r.out, nil
}

// safes reads an AuthenticatedSafe (RFC 7292 section 4.1).
func (r *reader) safes(raw []byte) error {
	s, err := normalized(raw)
	if err != nil {
		return err
	}
	if !s.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) {
		return errMalformed
	}
	for !s.Empty() {
		id, content, err := contentInfo(&s)
		if err != nil {
			return err
		}
		var bags []byte
		switch {
		case id.Equal(oidData):
			bags, err = octets(&content)
		case id.Equal(oidEncryptedData):
			bags, err = r.decrypt(content)
		default:
			return fmt.Errorf("PKCS #12 with a safe of type %s, which is not password-encrypted; export it again with a password", id)
		}
		if err == nil {
			err = r.safe(bags)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decrypt opens the EncryptedData of a safe (RFC 5652 section 8).
func (r *reader) decrypt(s cryptobyte.String) ([]byte, error) {
	var version int
	var info cryptobyte.String
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&s, cryptobyte_asn1.SEQUENCE) || !s.ReadASN1Integer(&version) ||
		!s.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidData) {
		return nil, errMalformed
	}
	scheme, err := pbe.ReadScheme(&info, r.budget)
	if err != nil {
		return nil, err
	}
	data, err := implicitOctets(&info)
	if err != nil {
		return nil, err
	}
	r.out.Protected = true
	return scheme.Open(data, r.forms, func(plain []byte) bool {
		s, err := normalized(plain)
		return err == nil && s.PeekASN1Tag(cryptobyte_asn1.SEQUENCE)
	})
}

// normalized returns raw, which must be one element, with definite lengths.
func normalized(raw []byte) (cryptobyte.String, error) {
	der, err := cms.DER(raw)
	if err != nil {
		return nil, errMalformed
	}
	return der, nil
}

// contentInfo reads a ContentInfo (RFC 5652 section 3).
func contentInfo(s *cryptobyte.String) (id asn1.ObjectIdentifier, content cryptobyte.String, err error) {
	var inner cryptobyte.String
	if !s.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&id) ||
		!inner.ReadASN1(&content, context0) {
		return nil, nil, errMalformed
	}
	return id, content, nil
}

// octets reads an OCTET STRING.
func octets(s *cryptobyte.String) ([]byte, error) {
	var b cryptobyte.String
	if !s.ReadASN1(&b, cryptobyte_asn1.OCTET_STRING) {
		return nil, errMalformed
	}
	return b, nil
}

// implicitOctets reads an OCTET STRING under the tag [0], which BER may write in
// pieces.
func implicitOctets(s *cryptobyte.String) ([]byte, error) {
	var whole cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !s.ReadAnyASN1(&whole, &tag) {
		return nil, errMalformed
	}
	switch tag {
	case cryptobyte_asn1.Tag(0).ContextSpecific():
		return whole, nil
	case context0:
	default:
		return nil, errMalformed
	}
	var joined []byte
	for !whole.Empty() {
		piece, err := octets(&whole)
		if err != nil {
			return nil, err
		}
		joined = append(joined, piece...)
	}
	return joined, nil
}
