package pkix

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

// maxSalt limits the salt of PSS, in octets: the largest key has no room for a
// longer one. Some sign with as long a salt as fits.
const maxSalt = MaxRSA / 8

// PSS are the parameters of RSASSA-PSS (RFC 4055 section 3.1).
type PSS struct {
	Hash crypto.Hash
	Mask crypto.Hash // of MGF1; often, but not always, the same
	Salt int         // octets
}

// ReadPSS reads RSASSA-PSS-params. Absent fields have SHA-1 for their default and
// a salt of 20 octets. The digest and that of the mask are independent: what
// writes only the digest signs with SHA-1 in the mask.
func ReadPSS(der []byte) (p PSS, ok bool) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return p, false
	}
	p = PSS{Hash: crypto.SHA1, Mask: crypto.SHA1, Salt: 20}
	trailer := 1
	for n, read := range []func(*cryptobyte.String) bool{
		func(f *cryptobyte.String) bool { return readDigest(f, &p.Hash) },
		func(f *cryptobyte.String) bool { return readMask(f, &p.Mask) },
		func(f *cryptobyte.String) bool { return f.ReadASN1Integer(&p.Salt) },
		func(f *cryptobyte.String) bool { return f.ReadASN1Integer(&trailer) },
	} {
		var field cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&field, &present, cryptobyte_asn1.Tag(n).ContextSpecific().Constructed()) ||
			present && (!read(&field) || !field.Empty()) {
			return p, false
		}
	}
	return p, seq.Empty() && p.Salt >= 0 && p.Salt <= maxSalt && trailer == 1
}

func readDigest(s *cryptobyte.String, h *crypto.Hash) bool {
	var seq, id cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.ReadASN1(&id, cryptobyte_asn1.OBJECT_IDENTIFIER) || !absentOrNull(seq) {
		return false
	}
	*h = DigestByOID(id)
	// RFC 4055 section 2.1 does not list MD5; SHAKE has identifiers of its own.
	return *h != 0 && *h != crypto.MD5 && !shakes(*h)
}

func readMask(s *cryptobyte.String, h *crypto.Hash) bool {
	var seq cryptobyte.String
	var id asn1.ObjectIdentifier
	return s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&id) &&
		id.Equal(oidMGF1) && readDigest(&seq, h) && seq.Empty()
}

// absentOrNull reports parameters that say nothing, in either of the two forms in
// use (RFC 4055 section 2.1).
func absentOrNull(params []byte) bool {
	return len(params) == 0 || bytes.Equal(params, asn1.NullBytes)
}

// Within reports whether a key with the parameters limit allows p (RFC 4055
// section 3.1): the same digests, and a salt not shorter.
func (p PSS) Within(limit PSS) bool {
	return p.Hash == limit.Hash && p.Mask == limit.Mask && p.Salt >= limit.Salt
}

// Verify reports whether sig is a signature of the digest by key. crypto/rsa does
// it where it can: it has one digest for both uses, takes a salt of 0 for one of
// any length, and no large exponents.
func (p PSS) Verify(key *rsa.PublicKey, digest, sig []byte) bool {
	if p.Hash == p.Mask && p.Salt > 0 && smallExponent(key) && !shakes(p.Hash) {
		return rsa.VerifyPSS(key, p.Hash, digest, sig, &rsa.PSSOptions{SaltLength: p.Salt}) == nil
	}
	em, ok := recoverRSA(key, sig)
	if !ok {
		return false
	}
	bits := key.N.BitLen() - 1
	if bits%8 == 0 { // the encoded message is an octet shorter than the modulus
		if em[0] != 0 {
			return false
		}
		em = em[1:]
	}
	return p.encodes(em, bits, digest)
}

// encodes is EMSA-PSS-VERIFY (RFC 8017 section 9.1.2) from its step 3; em is
// overwritten.
func (p PSS) encodes(em []byte, bits int, digest []byte) bool {
	size := HashSize(p.Hash)
	zeros := len(em) - size - p.Salt - 2
	if len(digest) != size || zeros < 0 || em[len(em)-1] != 0xbc {
		return false
	}
	db, h := em[:len(em)-size-1], em[len(em)-size-1:len(em)-1]
	spare := byte(0xff) << (8 - (8*len(em) - bits)) // step 6: the bits over emBits
	if db[0]&spare != 0 {
		return false
	}
	p.unmask(db, h)
	db[0] &^= spare
	for _, b := range db[:zeros] {
		if b != 0 {
			return false
		}
	}
	if db[zeros] != 1 {
		return false
	}
	again := NewHash(p.Hash)
	again.Write(make([]byte, 8))
	again.Write(digest)
	again.Write(db[zeros+1:])
	return bytes.Equal(h, again.Sum(nil))
}

// unmask removes the mask that MGF1 makes of seed (RFC 8017 appendix B.2.1), or SHAKE,
// which gives as much as is needed (RFC 8702 section 3.2.1).
func (p PSS) unmask(db, seed []byte) {
	if shakes(p.Mask) {
		mask, x := make([]byte, len(db)), newSHAKE(p.Mask)
		_, _ = x.Write(seed) // these never fail
		_, _ = x.Read(mask)
		subtle.XORBytes(db, db, mask)
		return
	}
	h := p.Mask.New()
	for counter := uint32(0); len(db) > 0; counter++ {
		h.Reset()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		n := subtle.XORBytes(db, db, h.Sum(nil))
		db = db[n:]
	}
}
