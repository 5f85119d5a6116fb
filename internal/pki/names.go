// Package pki holds what path validation and revocation share: the comparison
// of names, the public keys and the signature algorithms of certificates, where
// crypto/x509 knows too few of them.
package pki

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Tags of the string types that crypto/cryptobyte has no name for.
const (
	tagNumericString   = cryptobyte_asn1.Tag(18)
	tagVisibleString   = cryptobyte_asn1.Tag(26)
	tagUniversalString = cryptobyte_asn1.Tag(28)
	tagBMPString       = cryptobyte_asn1.Tag(30)
)

// RDNs returns the relative distinguished names of a DER Name, each in a form in
// which equal ones are equal strings (RFC 5280 section 7.1): whatever the string
// type, in lower case, with single blanks. It fails for what is no Name.
func RDNs(raw []byte) ([]string, bool) {
	s := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	var list []string
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cryptobyte_asn1.SET) {
			return nil, false
		}
		rdn, ok := canonicalRDN(set)
		if !ok {
			return nil, false
		}
		list = append(list, rdn)
	}
	return list, true
}

func canonicalRDN(set cryptobyte.String) (string, bool) {
	var parts []string
	for !set.Empty() {
		var attr, id, value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !set.ReadASN1(&attr, cryptobyte_asn1.SEQUENCE) ||
			!attr.ReadASN1(&id, cryptobyte_asn1.OBJECT_IDENTIFIER) ||
			!attr.ReadAnyASN1(&value, &tag) || !attr.Empty() {
			return "", false
		}
		text, ok := decodeString(tag, value)
		if ok {
			text = "s" + fold(text)
		} else {
			text = string(append([]byte{'r', byte(tag)}, value...))
		}
		parts = append(parts, framed(string(id))+framed(text))
	}
	slices.Sort(parts) // a SET has no order
	return framed(strings.Join(parts, "")), true
}

// framed puts the length before s, so that joined strings cannot be confused.
func framed(s string) string {
	return string([]byte{byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}) + s
}

func decodeString(tag cryptobyte_asn1.Tag, b []byte) (string, bool) {
	switch tag {
	case cryptobyte_asn1.UTF8String, cryptobyte_asn1.PrintableString, cryptobyte_asn1.IA5String,
		tagNumericString, tagVisibleString:
		return string(b), utf8.Valid(b)
	case cryptobyte_asn1.T61String: // as everyone does: Latin-1
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes), true
	case tagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		if len(b)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(b)/4)
		for i := range runes {
			runes[i] = rune(b[4*i])<<24 | rune(b[4*i+1])<<16 | rune(b[4*i+2])<<8 | rune(b[4*i+3])
		}
		return string(runes), true
	}
	return "", false
}

func fold(s string) string {
	if isFolded(s) {
		return s
	}
	return strings.Join(strings.Fields(strings.ToLower(s)), " ")
}

// isFolded spares the common case, a short text in lower case, its copies.
func isFolded(s string) bool {
	blank := true
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' || c < ' ' || c == ' ' && blank {
			return false
		}
		blank = c == ' '
	}
	return !blank || s == ""
}

// NameKey returns a string that two DER Names share exactly if they are equal.
func NameKey(raw []byte) string {
	list, ok := RDNs(raw)
	if !ok {
		return "raw" + string(raw)
	}
	return strings.Join(list, "")
}

// SameName reports whether two DER Names are equal.
func SameName(a, b []byte) bool {
	return bytes.Equal(a, b) || NameKey(a) == NameKey(b)
}
