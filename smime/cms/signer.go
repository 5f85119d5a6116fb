package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A signPlan is what follows from the key and the options of a signer.
type signPlan struct {
	hash        crypto.Hash
	opts        crypto.SignerOpts
	algorithm   []byte // signatureAlgorithm, DER
	direct      bool   // sign the attributes themselves and not their digest
	contentType string
}

// plan chooses the algorithms.
func (s *Signer) plan() (p signPlan, err error) {
	if s.Certificate == nil || s.Key == nil {
		return p, badKey("signer without certificate or key")
	}
	if s.UseSKI && len(s.Certificate.SubjectKeyId) == 0 {
		return p, unsupported("certificate without subject key identifier")
	}
	pub, err := PublicKey(s.Certificate)
	if err != nil {
		return p, err
	}
	if err := checkKey(pub, pkix.MinRSA); err != nil {
		return p, err
	}
	if e, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !e.Equal(pub) {
		return p, badKey("key does not belong to the certificate")
	}
	pss, alone := pkix.PublicKey(s.Certificate).(pkix.PSSKey)
	p.hash = s.Digest
	if p.hash == 0 {
		p.hash = DefaultDigest(pkix.PublicKey(s.Certificate))
	}
	if !sendable(p.hash) {
		return p, weak("digest %s", DigestName(p.hash))
	}
	p.opts = p.hash
	b := make(builder, 0, 80)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if pss.Limit != nil && !(pkix.PSS{Hash: p.hash, Mask: p.hash, Salt: p.hash.Size()}).Within(*pss.Limit) {
			return p, unsupported("digest %s: the certificate limits its key to other parameters of PSS", DigestName(p.hash))
		}
		if s.PSS || alone {
			p.opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: p.hash}
			b.algorithm(oidPSS, pssParams(p.hash))
		} else {
			b.algorithm(oidRSA, null()) // what everybody reads (RFC 3370 section 3.2)
		}
	case *ecdsa.PublicKey:
		b.algorithm(ecdsaOID(p.hash), nil)
	case ed25519.PublicKey:
		if p.hash != crypto.SHA512 {
			return p, unsupported("Ed25519 with digest %s", DigestName(p.hash))
		}
		p.opts, p.direct = crypto.Hash(0), true
		b.algorithm(oidEd25519, nil)
	case *pkix.MLDSAKey:
		p.opts, p.direct = crypto.Hash(0), true
		oid := mldsaOID(pkix.MLDSAScheme(k))
		if _, err := signatureAlgorithm(algorithm{oid: []byte(oid)}, p.hash); err != nil {
			return p, unsupported("%s with digest %s", pkix.KeyName(s.Certificate), DigestName(p.hash))
		}
		b.algorithm(oid, nil)
	default:
		return p, badKey("%T can not sign", pub)
	}
	p.algorithm = b
	return p, nil
}

func mldsaOID(s pkix.Scheme) string {
	switch s {
	case pkix.MLDSA44Scheme:
		return oidMLDSA44
	case pkix.MLDSA65Scheme:
		return oidMLDSA65
	}
	return oidMLDSA87
}

func ecdsaOID(h crypto.Hash) string {
	switch h {
	case crypto.SHA384:
		return oidECDSASHA384
	case crypto.SHA512:
		return oidECDSASHA512
	}
	return oidECDSASHA256
}

// appendInfo makes one signature over the digest of the content, and appends the
// SignerInfo.
func (s *Signer) appendInfo(b *builder, p signPlan, digest []byte, content [][]byte) error {
	attrs, message, err := s.covered(p, digest, content)
	if err != nil {
		return err
	}
	value, err := s.Key.Sign(rand.Reader, message, p.opts)
	if errors.Is(err, ErrDevice) {
		return err
	}
	if err != nil {
		return badKey("signing: %v", err)
	}
	m := b.open(tagSequence)
	if s.UseSKI {
		b.int(3)
	} else {
		b.int(1)
	}
	b.identifier(s.Certificate, s.UseSKI)
	b.algorithm(pkix.DigestOID(p.hash), nil)
	if attrs != nil {
		at := len(*b)
		b.raw(attrs)
		(*b)[at] = tagContext0
	}
	b.raw(p.algorithm)
	b.tlv(tagOctetString, value)
	if err := s.appendUnsigned(b, value); err != nil {
		return err
	}
	b.close(m)
	return nil
}

// covered returns the signed attributes, nil if the signature is bare, and what the
// key signs.
func (s *Signer) covered(p signPlan, digest []byte, content [][]byte) (attrs, message []byte, err error) {
	switch {
	case s.Bare && len(s.Attributes) > 0:
		return nil, nil, unsupported("signed attributes in a signature without them")
	case s.Bare && p.direct:
		return nil, slices.Concat(content...), nil
	case s.Bare:
		return nil, digest, nil
	}
	if attrs, err = s.attributes(p, digest); err != nil {
		return nil, nil, err
	}
	if p.direct {
		return attrs, attrs, nil
	}
	return attrs, sum(p.hash, attrs), nil
}

// appendUnsigned appends the attributes that are not signed.
func (s *Signer) appendUnsigned(b *builder, signature []byte) error {
	if s.Unsigned == nil {
		return nil
	}
	list, err := s.Unsigned(signature)
	if err != nil || len(list) == 0 {
		return err
	}
	set := newSetOf(256)
	if err := addAttributes(set, list); err != nil {
		return err
	}
	set.appendTo(b, tagContext0+1)
	return nil
}

// attributes returns the signed attributes under the SET OF tag.
func (s *Signer) attributes(p signPlan, digest []byte) ([]byte, error) {
	w := attributeWriter{setOf: newSetOf(640)}
	w.begin(oidContentType)
	w.oid(p.contentType)
	w.end()
	w.begin(oidMessageDigest)
	w.tlv(tagOctetString, digest)
	w.end()
	if !s.OmitSigningCertificate {
		w.begin(oidSigningCertificateV2)
		w.signingCertificateV2(s.Certificate)
		w.end()
	}
	if !s.OmitAlgorithmProtection {
		w.begin(oidAlgorithmProtection)
		w.protection(p)
		w.end()
	}
	if !s.Time.IsZero() {
		w.begin(oidSigningTime)
		w.time(s.Time)
		w.end()
	}
	ciphers := s.Ciphers
	if ciphers == nil && p.contentType == oidData {
		ciphers = DefaultCapabilities()
	}
	if len(ciphers) > 0 {
		w.begin(oidCapabilities)
		w.capabilities(ciphers)
		w.end()
	}
	if s.EncryptionCertificate != nil {
		w.begin(oidEncryptionKeyPreference)
		w.issuerAndSerial(tagContext0, s.EncryptionCertificate)
		w.end()
	}
	if err := addAttributes(w.setOf, s.Attributes); err != nil {
		return nil, err
	}
	return w.bytes(tagSet), nil
}

// An attributeWriter writes attributes with one value each.
type attributeWriter struct {
	*setOf
	outer, inner int
}

// begin starts an attribute; what is appended until end is its value.
func (w *attributeWriter) begin(oid string) {
	w.outer = w.open(tagSequence)
	w.oid(oid)
	w.inner = w.open(tagSet)
}

func (w *attributeWriter) end() {
	w.close(w.inner)
	w.close(w.outer)
	w.next()
}

// protection appends CMSAlgorithmProtection (RFC 6211 section 2).
func (b *builder) protection(p signPlan) {
	m := b.open(tagSequence)
	b.algorithm(pkix.DigestOID(p.hash), nil)
	at := len(*b)
	b.raw(p.algorithm)
	(*b)[at] = tagContext0 + 1
	b.close(m)
}

// time appends UTCTime through 2049, GeneralizedTime after (RFC 5652 section
// 11.3).
func (b *builder) time(t time.Time) {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		b.tlv(tagUTCTime, t.AppendFormat(nil, "060102150405Z"))
	} else {
		b.tlv(tagGeneralizedTime, t.AppendFormat(nil, "20060102150405Z"))
	}
}
