package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"time"
)

// SignRequest says what to sign, by whom.
type SignRequest struct {
	// Content is what is signed, in pieces that count as joined.
	Content [][]byte
	// Detached leaves the content out of the object.
	Detached bool
	// Digests replace Content in a detached signature: its digest by each
	// function that the signers use.
	Digests map[crypto.Hash][]byte
	// Signers make one signature each.
	Signers []Signer
	// Certificates go into the object behind the signers' own: their chains.
	Certificates []*x509.Certificate
	// CRLs go into the object, DER.
	CRLs [][]byte
}

// Signer is who signs and how.
type Signer struct {
	Certificate *x509.Certificate
	// Key belongs to Certificate; it may live in hardware.
	Key crypto.Signer
	// Digest is SHA-256, SHA-384 or SHA-512; 0 is DefaultDigest.
	Digest crypto.Hash
	// PSS signs with RSASSA-PSS instead of PKCS #1 v1.5. RSA keys only.
	PSS bool
	// Time is the signing time; the zero time leaves the attribute out.
	Time time.Time
	// UseSKI names the certificate by its subject key identifier.
	UseSKI bool
	// Ciphers are announced as capabilities, best first; nil is
	// DefaultCapabilities, empty announces nothing.
	Ciphers []Cipher
	// EncryptionCertificate is announced as the one to encrypt to; nil
	// announces none.
	EncryptionCertificate *x509.Certificate
}

// DefaultDigest returns the digest that fits the strength of the key. Ed25519
// must have SHA-512 (RFC 8419 section 3.1).
func DefaultDigest(pub crypto.PublicKey) crypto.Hash {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return crypto.SHA512
	case *ecdsa.PublicKey:
		switch k.Params().BitSize {
		case 384:
			return crypto.SHA384
		case 521:
			return crypto.SHA512
		}
	}
	return crypto.SHA256
}

// Sign makes SignedData (RFC 5652 section 5). Each signature covers signed
// attributes with the content type, digest, time, capabilities, the
// certificate's hash (RFC 5035) and the algorithms (RFC 6211).
func Sign(r SignRequest) (*Object, error) {
	if len(r.Signers) == 0 || len(r.Signers) > maxSigners {
		return nil, tooBig("%d signers", len(r.Signers))
	}
	certs := make([]*x509.Certificate, 0, len(r.Signers)+len(r.Certificates))
	digests := make(map[crypto.Hash][]byte)
	var algorithms, infos [][]byte
	version := 1
	for i := range r.Signers {
		s := &r.Signers[i]
		p, err := s.plan()
		if err != nil {
			return nil, err
		}
		digest, err := r.digest(p.hash, digests)
		if err != nil {
			return nil, err
		}
		info, err := s.signerInfo(p, digest)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
		var alg builder
		alg.algorithm(digestOID(p.hash), nil)
		algorithms = append(algorithms, alg)
		certs = append(certs, s.Certificate)
		if s.UseSKI {
			version = 3 // RFC 5652 section 5.1
		}
	}
	return signedObject(&r, version, algorithms, append(certs, r.Certificates...), infos), nil
}

// digest returns the digest of the content, computed once.
func (r *SignRequest) digest(h crypto.Hash, known map[crypto.Hash][]byte) ([]byte, error) {
	if d, ok := known[h]; ok {
		return d, nil
	}
	if r.Detached && r.Digests != nil {
		d := r.Digests[h]
		if len(d) != h.Size() {
			return nil, unsupported("no %s digest of the content given", DigestName(h))
		}
		return d, nil
	}
	state := h.New()
	for _, piece := range r.Content {
		state.Write(piece)
	}
	known[h] = state.Sum(nil)
	return known[h], nil
}

// A signPlan is what follows from the key and the options of a signer.
type signPlan struct {
	hash      crypto.Hash
	opts      crypto.SignerOpts
	algorithm []byte // signatureAlgorithm, DER
	direct    bool   // sign the attributes themselves and not their digest
}

// plan chooses the algorithms.
func (s *Signer) plan() (p signPlan, err error) {
	if s.Certificate == nil || s.Key == nil {
		return p, badKey("signer without certificate or key")
	}
	if s.UseSKI && len(s.Certificate.SubjectKeyId) == 0 {
		return p, unsupported("certificate without subject key identifier")
	}
	pub, pss, err := publicKey(s.Certificate)
	if err != nil {
		return p, err
	}
	if err := CheckKey(pub); err != nil {
		return p, err
	}
	if e, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !e.Equal(pub) {
		return p, badKey("key does not belong to the certificate")
	}
	p.hash = s.Digest
	if p.hash == 0 {
		p.hash = DefaultDigest(pub)
	}
	if !sendable(p.hash) {
		return p, weak("digest %s", DigestName(p.hash))
	}
	p.opts = p.hash
	var b builder
	switch pub.(type) {
	case *rsa.PublicKey:
		if s.PSS || pss != nil {
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
	default:
		return p, badKey("%T can not sign", pub)
	}
	p.algorithm = b
	return p, nil
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

// signerInfo makes one signature over the digest of the content.
func (s *Signer) signerInfo(p signPlan, digest []byte) ([]byte, error) {
	attrs := s.attributes(p, digest)
	message := attrs
	if !p.direct {
		message = sum(p.hash, attrs)
	}
	value, err := s.Key.Sign(rand.Reader, message, p.opts)
	if err != nil {
		return nil, badKey("signing: %v", err)
	}
	var b builder
	m := b.open(tagSequence)
	if s.UseSKI {
		b.int(3)
	} else {
		b.int(1)
	}
	b.identifier(s.Certificate, s.UseSKI)
	b.algorithm(digestOID(p.hash), nil)
	at := len(b)
	b.raw(attrs)
	b[at] = context0
	b.raw(p.algorithm)
	b.tlv(tagOctetString, value)
	b.close(m)
	return b, nil
}

// attributes returns the signed attributes under the SET OF tag, in the order
// of DER.
func (s *Signer) attributes(p signPlan, digest []byte) []byte {
	var digestTLV, typeTLV, digestAlg builder
	digestTLV.tlv(tagOctetString, digest)
	typeTLV.oid(oidData)
	digestAlg.algorithm(digestOID(p.hash), nil)
	list := [][]byte{
		attribute(oidContentType, typeTLV),
		attribute(oidMessageDigest, digestTLV),
		attribute(oidSigningCertificateV2, signingCertificateV2(s.Certificate)),
		attribute(oidAlgorithmProtection, protection(digestAlg, p.algorithm)),
	}
	if !s.Time.IsZero() {
		list = append(list, attribute(oidSigningTime, signingTime(s.Time)))
	}
	ciphers := s.Ciphers
	if ciphers == nil {
		ciphers = DefaultCapabilities()
	}
	if len(ciphers) > 0 {
		list = append(list, attribute(oidCapabilities, NewCapabilities(ciphers...).Marshal()))
	}
	if s.EncryptionCertificate != nil {
		var pref builder
		pref.issuerAndSerial(context0, s.EncryptionCertificate)
		list = append(list, attribute(oidEncryptionKeyPreference, pref))
	}
	return setOf(tagSet, list)
}

// attribute returns an Attribute with one value.
func attribute(oid string, value []byte) []byte {
	var b builder
	m := b.open(tagSequence)
	b.oid(oid)
	b.tlv(tagSet, value)
	b.close(m)
	return b
}

// protection returns CMSAlgorithmProtection (RFC 6211 section 2).
func protection(digest, signature []byte) []byte {
	var b builder
	m := b.open(tagSequence)
	b.raw(digest)
	at := len(b)
	b.raw(signature)
	b[at] = context0 + 1
	b.close(m)
	return b
}

// signingTime returns UTCTime through 2049, GeneralizedTime after (RFC 5652
// section 11.3).
func signingTime(t time.Time) []byte {
	t = t.UTC()
	var b builder
	if y := t.Year(); y >= 1950 && y < 2050 {
		b.tlv(tagUTCTime, []byte(t.Format("060102150405Z")))
	} else {
		b.tlv(tagGeneralizedTime, []byte(t.Format("20060102150405Z")))
	}
	return b
}

// setOf returns the elements as a SET OF in the order of DER (X.690 section
// 11.6), each once.
func setOf(tag byte, elements [][]byte) []byte {
	slices.SortFunc(elements, bytes.Compare)
	elements = slices.CompactFunc(elements, bytes.Equal)
	var b builder
	m := b.open(tag)
	for _, e := range elements {
		b.raw(e)
	}
	b.close(m)
	return b
}

// signedObject puts the parts around the content.
func signedObject(r *SignRequest, version int, algorithms [][]byte, certs []*x509.Certificate, infos [][]byte) *Object {
	var tail, front builder
	if len(certs) > 0 {
		raws := make([][]byte, len(certs))
		for i, c := range certs {
			raws[i] = c.Raw
		}
		tail.raw(setOf(context0, raws))
	}
	if len(r.CRLs) > 0 {
		tail.raw(setOf(context0+1, slices.Clone(r.CRLs)))
	}
	tail.raw(setOf(tagSet, infos))
	front.int(version)
	front.raw(setOf(tagSet, algorithms))

	o := &Object{tail: tail}
	l := newLayout(0)
	if !r.Detached {
		o.content, o.size = r.Content, totalSize(r.Content)
		l.size = o.size
		l.header(tagOctetString)
		l.header(context0)
	}
	var oid builder
	oid.oid(oidData)
	l.prepend(oid)
	l.header(tagSequence)
	l.size += len(tail)
	l.prepend(front)
	l.wrap(oidSignedData)
	o.head = l.bytes()
	return o
}

// wrap puts the header of a SEQUENCE and ContentInfo in front.
func (l *layout) wrap(contentType string) {
	l.header(tagSequence)
	l.header(context0)
	var oid builder
	oid.oid(contentType)
	l.prepend(oid)
	l.header(tagSequence)
}

// CertsOnly returns a certs-only object (RFC 8551 section 3.8).
func CertsOnly(certs []*x509.Certificate, crls [][]byte) *Object {
	return signedObject(&SignRequest{Detached: true, CRLs: crls}, 1, nil, certs, nil)
}
