// Package pkix holds what path validation and revocation share: the comparison
// of names, the digests, the public keys and the signature algorithms, where
// crypto/x509 knows too few of them.
package pkix

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
	var list []string
	ok := eachRDN(raw, func(set cryptobyte.String) bool {
		b, ok := appendRDN(nil, set)
		list = append(list, string(b))
		return ok
	})
	return list, ok
}

// NameKey returns a string that two DER Names share exactly if they are equal.
func NameKey(raw []byte) string {
	key := make([]byte, 0, len(raw)+64)
	ok := eachRDN(raw, func(set cryptobyte.String) (ok bool) {
		key, ok = appendRDN(key, set)
		return ok
	})
	if !ok {
		return "raw" + string(raw)
	}
	return string(key)
}

func eachRDN(raw []byte, f func(cryptobyte.String) bool) bool {
	s := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cryptobyte_asn1.SET) || !f(set) {
			return false
		}
	}
	return true
}

// appendRDN appends the canonical form of an RDN, framed by its length.
func appendRDN(b []byte, set cryptobyte.String) ([]byte, bool) {
	start := len(b)
	b = append(b, 0, 0, 0)
	first := true
	var more []string // a SET has no order: several attributes are sorted
	for ; !set.Empty(); first = false {
		from := len(b)
		var ok bool
		if b, ok = appendAttribute(b, &set); !ok {
			return b, false
		}
		if !first || !set.Empty() {
			more = append(more, string(b[from:]))
			b = b[:from]
		}
	}
	slices.Sort(more)
	for _, m := range more {
		b = append(b, m...)
	}
	return frame(b, start), true
}

func appendAttribute(b []byte, set *cryptobyte.String) ([]byte, bool) {
	var attr, id, value cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !set.ReadASN1(&attr, cryptobyte_asn1.SEQUENCE) ||
		!attr.ReadASN1(&id, cryptobyte_asn1.OBJECT_IDENTIFIER) ||
		!attr.ReadAnyASN1(&value, &tag) || !attr.Empty() {
		return b, false
	}
	start := len(b)
	b = append(b, 0, 0, 0)
	b = frame(append(b, id...), start)
	start = len(b)
	b = append(b, 0, 0, 0)
	if text, ok := decodeString(tag, value); ok {
		b = append(append(b, 's'), fold(text)...)
	} else {
		b = append(append(b, 'r', byte(tag)), value...)
	}
	return frame(b, start), true
}

// frame enters the length of what follows start, so that joined strings cannot
// be confused.
func frame(b []byte, start int) []byte {
	n := len(b) - start - 3
	b[start], b[start+1], b[start+2] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

func decodeString(tag cryptobyte_asn1.Tag, b []byte) (string, bool) {
	switch tag {
	case cryptobyte_asn1.UTF8String, cryptobyte_asn1.PrintableString, cryptobyte_asn1.IA5String,
		tagNumericString, tagVisibleString:
		return string(b), utf8.Valid(b)
	case cryptobyte_asn1.T61String: // as everyone does: Latin-1
		return latin1(b), true
	case tagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return sound(string(utf16.Decode(units)))
	case tagUniversalString:
		if len(b)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(b)/4)
		for i := range runes {
			runes[i] = rune(b[4*i])<<24 | rune(b[4*i+1])<<16 | rune(b[4*i+2])<<8 | rune(b[4*i+3])
		}
		return sound(string(runes))
	}
	return "", false
}

// sound refuses a text in which a number was no character: two such texts would
// look equal.
func sound(s string) (string, bool) { return s, !strings.ContainsRune(s, utf8.RuneError) }

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

// SameName reports whether two DER Names are equal.
func SameName(a, b []byte) bool {
	return bytes.Equal(a, b) || NameKey(a) == NameKey(b)
}
