package pbe

import (
	"unicode/utf16"
	"unicode/utf8"
)

// A Form is a password as the octets that go into a key derivation. Programs
// differ in how they make them.
type Form struct {
	Wide  []byte // for the derivation of PKCS #12
	Plain []byte // for PBKDF2 and scrypt
}

// Forms returns the forms of a password, the one that the standards ask for
// first: UTF-16 with a zero at the end in PKCS #12 (RFC 7292 appendix B.1), UTF-8
// elsewhere (RFC 8018 section 3). Behind it come those in which known programs
// write: the empty password as no octets at all; one with characters beyond
// ASCII octet by octet, as OpenSSL did up to 1.0.2; and the UTF-16 form
// everywhere, as NSS once did.
func Forms(password string) []Form {
	plain := []byte(password)
	octets := widen(plain)
	if !utf8.ValidString(password) {
		return []Form{{octets, plain}}
	}
	wide := encodeUTF16(password)
	list := []Form{{wide, plain}}
	if password == "" {
		list = append(list, Form{nil, nil})
	}
	if len(wide) != len(octets) {
		list = append(list, Form{octets, plain})
	}
	return append(list, Form{wide, wide})
}

func encodeUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return append(b, 0, 0)
}

// widen makes a UTF-16 character of each octet.
func widen(octets []byte) []byte {
	var b []byte
	for _, o := range octets {
		b = append(b, 0, o)
	}
	return append(b, 0, 0)
}
