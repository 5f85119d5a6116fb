package cms

import (
	"crypto"
	"crypto/hkdf"
	"crypto/x509"
)

// An encapsulator is a public key of a key encapsulation mechanism.
type encapsulator interface {
	Encapsulate() (sharedKey, ciphertext []byte)
}

// encapsulation appends KEMRecipientInfo inside OtherRecipientInfo (RFC 9629
// section 3) for ML-KEM. The key wrap is AES-256 whatever the content cipher,
// which RFC 9936 section 2.2.1 asks for.
func (e *encrypter) encapsulation(b *builder, cert *x509.Certificate, kem string, pub encapsulator) error {
	const kekSize = 32
	var wrapAlg builder
	wrapAlg.algorithm(oidWrapAES256, nil)
	secret, ciphertext := pub.Encapsulate()
	kek, err := hkdf.Key(crypto.SHA256.New, secret, nil, string(kemInfo(wrapAlg, nil, kekSize)), kekSize)
	if err != nil {
		return err
	}
	wrapped, err := wrapKey(kek, e.key)
	if err != nil {
		return err
	}
	m := b.open(context0 + 4)
	b.oid(oidKEMRecipientInfo)
	s := b.open(tagSequence)
	b.int(0)
	b.identifier(cert, e.request.UseSKI)
	b.algorithm(kem, nil)
	b.tlv(tagOctetString, ciphertext)
	b.algorithm(oidHKDFSHA256, nil)
	b.int(kekSize)
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
		u := b.open(context0)
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
