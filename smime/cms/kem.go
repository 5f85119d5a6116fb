package cms

import (
	"crypto"
	"crypto/hkdf"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A kemSpec is what there is to know of a key encapsulation mechanism. The key wrap is
// as strong as it, whatever the content cipher (RFC 9936 section 2.2.1).
type kemSpec struct {
	name    KeyManagement
	oid     string
	wrap    string
	kekSize int
}

var kems = [...]kemSpec{
	{MLKEM512, oidMLKEM512, oidWrapAES128, 16},
	{MLKEM768, oidMLKEM768, oidWrapAES256, 32},
	{MLKEM1024, oidMLKEM1024, oidWrapAES256, 32},
}

// encapsulation appends KEMRecipientInfo inside OtherRecipientInfo (RFC 9629
// section 3) for ML-KEM.
func (e *encrypter) encapsulation(b *builder, cert *x509.Certificate, pub *pkix.KEMKey) error {
	i := slices.IndexFunc(kems[:], func(k kemSpec) bool { return strings.EqualFold(string(k.name), pub.Name()) })
	if i < 0 {
		return unsupported("%s", pub.Name())
	}
	kem := &kems[i]
	var wrapAlg builder
	wrapAlg.algorithm(kem.wrap, nil)
	secret, ciphertext := pub.Encapsulate()
	kek, err := hkdf.Key(crypto.SHA256.New, secret, nil, string(kemInfo(wrapAlg, nil, kem.kekSize)), kem.kekSize)
	if err != nil {
		return err
	}
	wrapped, err := wrapKey(kek, e.key)
	if err != nil {
		return err
	}
	m := b.open(tagContext0 + 4)
	b.oid(oidKEMRecipientInfo)
	s := b.open(tagSequence)
	b.int(0)
	b.identifier(cert, e.request.UseSKI)
	b.algorithm(kem.oid, nil)
	b.tlv(tagOctetString, ciphertext)
	b.algorithm(oidHKDFSHA256, nil)
	b.int(kem.kekSize)
	b.raw(wrapAlg)
	b.tlv(tagOctetString, wrapped)
	b.close(s)
	b.close(m)
	e.version = 3 // RFC 5652 section 6.1: other recipient info
	return nil
}

// kemInfo returns CMSORIforKEMOtherInfo (RFC 9629 section 5). wrap is the
// AlgorithmIdentifier of the key wrap as it stands in the message.
func kemInfo(wrap, ukm []byte, kekSize int) []byte {
	var b builder
	m := b.open(tagSequence)
	b.raw(wrap)
	b.int(kekSize)
	if ukm != nil {
		u := b.open(tagContext0)
		b.tlv(tagOctetString, ukm)
		b.close(u)
	}
	b.close(m)
	return b
}

// hkdfOf returns the hash of an HKDF algorithm (RFC 8619), 0 for others.
func hkdfOf(a algorithm) crypto.Hash {
	switch string(a.oid) {
	case oidHKDFSHA256:
		return crypto.SHA256
	case oidHKDFSHA384:
		return crypto.SHA384
	case oidHKDFSHA512:
		return crypto.SHA512
	}
	return 0
}

// otherRecipient reads OtherRecipientInfo, of which KEMRecipientInfo is known
// (RFC 9629 section 3).
func (c *cursor) otherRecipient() (r RecipientInfo) {
	c.enter(tagContext0 + 4)
	if oid := c.primitive(tagOID); string(oid) != oidKEMRecipientInfo {
		r.unsupported(KeyManagement(dotted(oid)), "other recipient info")
		r.encrypted = c.raw()
		c.leave()
		return r
	}
	c.enter(tagSequence)
	c.small()
	r.ID = c.identifier()
	r.alg = c.algorithm()
	r.derivation = new(derivation)
	r.ciphertext = c.octetBytes(tagOctetString)
	r.kdf = c.algorithm()
	r.kekSize = c.small()
	c.userKeyMaterial(&r, tagContext0)
	if c.peek() == tagSequence {
		r.rawWrap = c.raw()
	}
	in := newCursor(r.rawWrap)
	r.wrap = in.algorithm()
	r.encrypted = c.octetBytes(tagOctetString)
	c.leave()
	c.leave()
	r.setKEM(in.err != nil)
	return r
}

// setKEM looks at the algorithms of a key encapsulation.
func (r *RecipientInfo) setKEM(badWrap bool) {
	r.kind = kemKind
	i := slices.IndexFunc(kems[:], func(k kemSpec) bool { return r.alg.is(k.oid) })
	if i < 0 {
		r.unsupported(KeyManagement(r.alg.String()), "key encapsulation mechanism")
		return
	}
	r.KeyManagement = kems[i].name
	if hkdfOf(r.kdf) == 0 {
		r.unsupported(r.KeyManagement, "key derivation "+r.kdf.String())
	} else if n := wrapSize(r.wrap); badWrap || n == 0 || n != r.kekSize {
		r.unsupported(r.KeyManagement, "key wrap algorithm")
	}
}
