package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
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
	switch n := len(r.Signers); {
	case n == 0:
		return nil, unsupported("a message signed by nobody")
	case n > maxSigners:
		return nil, tooBig("%d signers", n)
	}
	certs := make([]*x509.Certificate, 0, len(r.Signers)+len(r.Certificates))
	digests := make(map[crypto.Hash][]byte, 1)
	parts := signedParts{version: 1, algorithms: newSetOf(20), infos: newSetOf(1024 * len(r.Signers))}
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
		if err := s.appendInfo(&parts.infos.builder, p, digest); err != nil {
			return nil, err
		}
		parts.infos.next()
		parts.algorithms.algorithm(pkix.DigestOID(p.hash), nil)
		parts.algorithms.next()
		certs = append(certs, s.Certificate)
		if s.UseSKI {
			parts.version = 3 // RFC 5652 section 5.1
		}
	}
	parts.certs, parts.crls = append(certs, r.Certificates...), r.CRLs
	if r.Detached {
		return parts.object(nil, true), nil
	}
	return parts.object(r.Content, false), nil
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

// signedParts are the parts of SignedData around the content.
type signedParts struct {
	version    int
	algorithms *setOf
	certs      []*x509.Certificate
	crls       [][]byte
	infos      *setOf
}

// object puts the parts around the content.
func (p *signedParts) object(content [][]byte, detached bool) *Object {
	tail := make(builder, 0, p.tailSize())
	if len(p.certs) > 0 {
		set := newSetOf(cap(tail))
		for _, c := range p.certs {
			set.add(c.Raw)
		}
		set.appendTo(&tail, tagContext0)
	}
	if len(p.crls) > 0 {
		set := newSetOf(cap(tail))
		for _, c := range p.crls {
			set.add(c)
		}
		set.appendTo(&tail, tagContext0+1)
	}
	p.infos.appendTo(&tail, tagSet)

	o := &Object{content: content, size: totalSize(content), tail: tail}
	l := newLayout(o.size)
	if !detached {
		l.header(tagOctetString)
		l.header(tagContext0)
	}
	l.prependOID(oidData)
	l.header(tagSequence)
	l.size += len(tail)
	front := make(builder, 0, 64)
	front.int(p.version)
	p.algorithms.appendTo(&front, tagSet)
	l.prepend(front)
	l.wrap(oidSignedData)
	o.head = l.bytes()
	return o
}

// tailSize estimates the octets behind the content.
func (p *signedParts) tailSize() int {
	n := len(p.infos.builder) + 32
	for _, c := range p.certs {
		n += len(c.Raw)
	}
	for _, c := range p.crls {
		n += len(c)
	}
	return n
}

// CertsOnly returns a certs-only object (RFC 8551 section 3.8).
func CertsOnly(certs []*x509.Certificate, crls [][]byte) *Object {
	parts := signedParts{version: 1, algorithms: newSetOf(0), certs: certs, crls: crls, infos: newSetOf(0)}
	return parts.object(nil, true)
}
