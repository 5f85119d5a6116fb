package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"math"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readOID reads an object identifier with numbers of any size: those that are made
// of UUIDs have 128 bits (X.667).
func readOID(s *cryptobyte.String) (id x509.OID, ok bool) {
	var raw cryptobyte.String
	if !s.ReadASN1(&raw, cryptobyte_asn1.OBJECT_IDENTIFIER) {
		return id, false
	}
	return id, id.UnmarshalBinary(raw) == nil
}

// ObjectIdentifier reads the contents octets of an object identifier; nil where they
// are not well-formed. A number that does not fit becomes the largest.
func ObjectIdentifier(contents []byte) asn1.ObjectIdentifier {
	if !wellFormed(contents) {
		return nil
	}
	return numbers(contents)
}

// wellFormed reports whether contents are numbers, each in as few octets as it needs
// (X.690 section 8.19.2).
func wellFormed(contents []byte) bool {
	first := true
	for _, b := range contents {
		if first && b == 0x80 {
			return false
		}
		first = b&0x80 == 0
	}
	return first && len(contents) > 0
}

// saturated returns an object identifier in the older form of the library. A number
// that does not fit becomes the largest, which no known identifier has.
func saturated(id x509.OID) asn1.ObjectIdentifier {
	raw, err := id.MarshalBinary()
	if err != nil {
		return nil
	}
	return numbers(raw)
}

// numbers are those of well-formed contents octets.
func numbers(contents []byte) asn1.ObjectIdentifier {
	out := make(asn1.ObjectIdentifier, 0, len(contents)+1)
	n := 0
	for _, b := range contents {
		if n > math.MaxInt32>>7 {
			n = math.MaxInt32
		} else {
			n = n<<7 | int(b&0x7f)
		}
		if b&0x80 != 0 {
			continue
		}
		if len(out) == 0 { // the first two numbers share one (X.690 section 8.19.4)
			first := min(n/40, 2)
			out, n = append(out, first), n-40*first
		}
		out, n = append(out, n), 0
	}
	return out
}
