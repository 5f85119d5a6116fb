package ocsp

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// FuzzParse: whatever comes, what is read of it is bounded, and what of it goes into an
// answer is whole DER.
func FuzzParse(f *testing.F) {
	f.Add([]byte("0\x03\x0a\x01\x06"))
	f.Add([]byte("0B0@0>0<0:0\x09\x06\x05+\x0e\x03\x02\x1a\x05\x00\x04\x14aaaaaaaaaaaaaaaaaaaa\x04\x14bbbbbbbbbbbbbbbbbbbb\x02\x01\x05"))
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := parse(der)
		if err != nil {
			return
		}
		if len(r.ids) == 0 || len(r.ids) > maxQuestions || r.nonce != nil && (len(r.nonce) == 0 || len(r.nonce) > maxNonce) {
			t.Errorf("%d questions, a nonce of %d octets", len(r.ids), len(r.nonce))
		}
		for _, id := range r.ids {
			var element cryptobyte.String
			s := cryptobyte.String(id.DER)
			if !s.ReadASN1Element(&element, cryptobyte_asn1.SEQUENCE) || !s.Empty() || !bytes.Contains(der, id.DER) {
				t.Errorf("%x is not an element", id.DER)
			}
		}
	})
}
