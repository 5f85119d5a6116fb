package pkix

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// smallExponent reports whether crypto/rsa works with key. Some smart cards made
// exponents of 32 bits, which it refuses.
func smallExponent(key *rsa.PublicKey) bool { return key.E <= 1<<31-1 }

// recoverRSA returns what was signed, as long as the modulus: RSAVP1 (RFC 8017
// section 5.2.2). Nothing in it is secret, so it need not take constant time.
func recoverRSA(key *rsa.PublicKey, sig []byte) ([]byte, bool) {
	s := new(big.Int).SetBytes(sig)
	if checkRSA(key) != nil || len(sig) != key.Size() || s.Cmp(key.N) >= 0 {
		return nil, false
	}
	return s.Exp(s, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size())), true
}

// verifyPKCS1 reports whether sig is an RSASSA-PKCS1-v1_5 signature of the digest
// by key (RFC 8017 section 8.2.2).
func verifyPKCS1(key *rsa.PublicKey, hash crypto.Hash, digest, sig []byte) bool {
	if shakes(hash) { // there is no such signature
		return false
	}
	if smallExponent(key) {
		return rsa.VerifyPKCS1v15(key, hash, digest, sig) == nil
	}
	em, ok := recoverRSA(key, sig)
	return ok && bytes.Equal(em, encodePKCS1(hash, digest, len(em)))
}

// encodePKCS1 is EMSA-PKCS1-v1_5-ENCODE (RFC 8017 section 9.2); nil for a digest
// that is not known.
func encodePKCS1(hash crypto.Hash, digest []byte, size int) []byte {
	oid := DigestOID(hash)
	if oid == "" || len(digest) != HashSize(hash) {
		return nil
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(info *cryptobyte.Builder) {
		info.AddASN1(cryptobyte_asn1.SEQUENCE, func(alg *cryptobyte.Builder) {
			alg.AddASN1(cryptobyte_asn1.OBJECT_IDENTIFIER, func(id *cryptobyte.Builder) { id.AddBytes([]byte(oid)) })
			alg.AddASN1NULL()
		})
		info.AddASN1OctetString(digest)
	})
	info, err := b.Bytes()
	if err != nil || size < len(info)+11 {
		return nil
	}
	em := bytes.Repeat([]byte{0xff}, size)
	em[0], em[1], em[size-len(info)-1] = 0, 1, 0
	copy(em[size-len(info):], info)
	return em
}
