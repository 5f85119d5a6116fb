package certs

import (
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// checkIterations refuses a PKCS #12 file that would keep the machine busy: the
// library derives keys with as many iterations as the file says. The count
// follows a salt, an OCTET STRING, in every structure that has one (RFC 7292
// appendix A and section 4, RFC 8018 appendix A).
func checkIterations(der []byte) error {
	s := cryptobyte.String(der)
	var outer cryptobyte.String
	if !s.ReadASN1(&outer, cryptobyte_asn1.SEQUENCE) {
		if indefinite, ok := scan(der); ok && indefinite {
			return errIndefinite
		}
		return errNotPKCS12
	}
	if !iterationsBelow(outer, maxNesting) {
		return errIterations
	}
	return nil
}

func iterationsBelow(s cryptobyte.String, depth int) bool {
	afterSalt := false
	for !s.Empty() {
		var value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !s.ReadAnyASN1(&value, &tag) {
			return true // not ASN.1 inside, such as ciphertext
		}
		if tag == cryptobyte_asn1.INTEGER && afterSalt &&
			new(big.Int).SetBytes(value).Cmp(big.NewInt(maxIterations)) > 0 {
			return false
		}
		constructed := tag&0x20 != 0 || tag == cryptobyte_asn1.OCTET_STRING
		if constructed && depth > 0 && !iterationsBelow(value, depth-1) {
			return false
		}
		afterSalt = tag == cryptobyte_asn1.OCTET_STRING
	}
	return true
}
