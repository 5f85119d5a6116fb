package pkcs12

import (
	"encoding/asn1"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
)

// maxSafeDepth limits how deep bags of bags may be nested. No program in use nests.
const maxSafeDepth = 4

// Types of bags and attributes (RFC 7292 section 4.2, RFC 2985 section 5.5).
var (
	oidKeyBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
)

// safe reads the bags of one safe.
func (r *reader) safe(raw []byte) error {
	s, err := normalized(raw)
	if err != nil {
		return err
	}
	return r.safeContents(&s, maxSafeDepth)
}

// safeContents reads SafeContents (RFC 7292 section 4.2).
func (r *reader) safeContents(s *cryptobyte.String, depth int) error {
	var bags cryptobyte.String
	if !s.ReadASN1(&bags, cryptobyte_asn1.SEQUENCE) || depth == 0 {
		return errMalformed
	}
	for !bags.Empty() {
		if r.bags++; r.bags > maxBags {
			return fmt.Errorf("PKCS #12 with more than %d keys and certificates; split it", maxBags)
		}
		if err := r.bag(&bags, depth); err != nil {
			return err
		}
	}
	return nil
}

// bag reads one SafeBag.
func (r *reader) bag(s *cryptobyte.String, depth int) error {
	var bag, value cryptobyte.String
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&bag, cryptobyte_asn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&id) || !bag.ReadASN1(&value, context0) {
		return errMalformed
	}
	switch {
	case id.Equal(oidKeyBag):
		r.out.Keys = append(r.out.Keys, Key{value, friendlyName(bag)})
	case id.Equal(oidShroudedBag):
		info, err := pbe.OpenKey(value, r.forms, r.budget)
		if err != nil {
			return err
		}
		r.out.Protected = true
		r.out.Keys = append(r.out.Keys, Key{info, friendlyName(bag)})
	case id.Equal(oidCertBag):
		return r.certificate(value)
	case id.Equal(oidSafeBag):
		return r.safeContents(&value, depth-1)
	}
	return nil
}

// certificate reads a CertBag (RFC 7292 section 4.2.3).
func (r *reader) certificate(s cryptobyte.String) error {
	var bag, explicit cryptobyte.String
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&bag, cryptobyte_asn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&id) || !bag.ReadASN1(&explicit, context0) {
		return errMalformed
	}
	if !id.Equal(oidX509) {
		return nil
	}
	der, err := octets(&explicit)
	if err != nil {
		return err
	}
	r.out.Certificates = append(r.out.Certificates, der)
	return nil
}

// friendlyName looks for the name in the attributes of a bag. It is for messages
// only: what cannot be read is no name.
func friendlyName(bag cryptobyte.String) string {
	var attributes, attribute, values, name cryptobyte.String
	if !bag.ReadASN1(&attributes, cryptobyte_asn1.SET) {
		return ""
	}
	for attributes.ReadASN1(&attribute, cryptobyte_asn1.SEQUENCE) {
		var id asn1.ObjectIdentifier
		if attribute.ReadASN1ObjectIdentifier(&id) && id.Equal(oidFriendlyName) &&
			attribute.ReadASN1(&values, cryptobyte_asn1.SET) && values.ReadASN1(&name, cryptobyte_asn1.Tag(asn1.TagBMPString)) {
			return decodeUTF16(name)
		}
	}
	return ""
}

func decodeUTF16(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])<<8|uint16(b[1]))
	}
	return string(utf16.Decode(units))
}
