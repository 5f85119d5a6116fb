package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"io"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// SignRequest says what to sign, by whom.
type SignRequest struct {
	// Content is what is signed, in pieces that count as joined.
	Content [][]byte
	// ContentType is what Content is; "" is TypeData.
	ContentType Type
	// Element says that Content is one element in DER, and is written as itself and
	// not in an OCTET STRING, as PKCS #7 1.5 has it for types other than data (RFC
	// 5652 section 5.2.1). Authenticode wants it so. Its identifier and length octets
	// are not signed.
	Element bool
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
	// DefaultCapabilities where data is signed and nothing elsewhere, empty
	// announces nothing.
	Ciphers []Cipher
	// EncryptionCertificate is announced as the one to encrypt to; nil
	// announces none.
	EncryptionCertificate *x509.Certificate
	// OmitSigningCertificate and OmitAlgorithmProtection leave these attributes out (RFC
	// 5035, RFC 6211), for readers that fail on them: the signature then binds neither
	// its certificate nor its algorithms.
	OmitSigningCertificate, OmitAlgorithmProtection bool
	// Attributes are signed with those that Sign writes itself.
	Attributes []Attribute
	// Unsigned is asked for the attributes that are not signed, which may depend on
	// the signature, as a time stamp does; nil adds none.
	Unsigned func(signature []byte) ([]Attribute, error)
	// Bare signs the content itself, without signed attributes. RFC 5652 section 5.3
	// allows it for data only, and RFC 8551 section 2.5 advises against it: such a
	// signature is bound to no time, no certificate and no algorithms.
	Bare bool
}

// DefaultDigest returns the digest that fits the strength of the key. Ed25519
// must have SHA-512 (RFC 8419 section 3.1), and with ML-DSA all readers know it (RFC
// 9882 section 3.3). A certificate may limit an RSA key to one for PSS.
func DefaultDigest(pub crypto.PublicKey) crypto.Hash {
	switch k := pub.(type) {
	case ed25519.PublicKey, *pkix.MLDSAKey:
		return crypto.SHA512
	case pkix.PSSKey:
		if k.Limit != nil {
			return k.Limit.Hash
		}
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
	parts, err := r.plan()
	if err != nil {
		return nil, err
	}
	digests := make(map[crypto.Hash][]byte, 1)
	digest := func(h crypto.Hash) ([]byte, error) { return r.digest(h, digests) }
	if err := r.sign(parts, digest); err != nil {
		return nil, err
	}
	if r.Detached {
		return parts.object(nil, true), nil
	}
	return parts.object(r.Content, false), nil
}

// SignStream writes to w what Sign makes of all that content gives, in place of
// r.Content, through a small buffer. It is BER of indefinite length, as OpenSSL writes
// streams, because the signatures behind the content depend on it. For one that is
// detached, see Digest. After an error w has a part of an object, which must not be used.
func SignStream(w io.Writer, r SignRequest, content io.Reader) error {
	if r.Content != nil || r.Digests != nil || r.Detached || r.Element {
		return unsupported("a stream beside a content, for a detached signature, or as an element")
	}
	parts, err := r.plan()
	if err != nil {
		return err
	}
	functions := make([]crypto.Hash, len(parts.plans))
	for i, p := range parts.plans {
		if functions[i] = p.hash; r.Signers[i].Bare {
			return unsupported("a stream signed without attributes")
		}
	}
	states := newDigests(functions)
	t := &target{w: w}
	t.put(parts.front(-1, false))
	if err := t.copy(io.TeeReader(content, states), plainSealer{}, -1); err != nil {
		return err
	}
	t.ends(3) // of the content, its tag, and EncapsulatedContentInfo
	sums := states.sums()
	if err := r.sign(parts, func(h crypto.Hash) ([]byte, error) { return sums[h], nil }); err != nil {
		return err
	}
	t.put(parts.tail())
	t.ends(3) // of SignedData, its tag, and ContentInfo
	return t.err
}

// plan checks the request, and chooses what does not depend on the content.
func (r *SignRequest) plan() (*signedParts, error) {
	switch n := len(r.Signers); {
	case n == 0:
		return nil, unsupported("no signers")
	case n > maxSigners:
		return nil, tooBig("%d signers", n)
	}
	contentType, err := r.ContentType.oid()
	if err != nil {
		return nil, err
	}
	if err := r.checkElement(contentType); err != nil {
		return nil, err
	}
	certs := make([]*x509.Certificate, 0, len(r.Signers)+len(r.Certificates))
	parts := &signedParts{contentType: contentType, element: r.Element, version: 1, algorithms: newSetOf(20), infos: newSetOf(1024 * len(r.Signers))}
	for i := range r.Signers {
		s := &r.Signers[i]
		p, err := s.plan()
		if err != nil {
			return nil, err
		}
		p.contentType = contentType
		if s.Bare {
			if err := r.checkBare(contentType, p); err != nil {
				return nil, err
			}
		}
		parts.plans = append(parts.plans, p)
		parts.algorithms.algorithm(pkix.DigestOID(p.hash), nil)
		parts.algorithms.next()
		certs = append(certs, s.Certificate)
		if s.UseSKI {
			parts.version = 3 // RFC 5652 section 5.1
		}
	}
	parts.certs, parts.crls = append(certs, r.Certificates...), r.CRLs
	if contentType != oidData {
		parts.version = 3 // RFC 5652 section 5.1
	}
	return parts, nil
}

// sign makes the signatures over the digests of the content.
func (r *SignRequest) sign(parts *signedParts, digest func(crypto.Hash) ([]byte, error)) error {
	for i := range r.Signers {
		p := parts.plans[i]
		d, err := digest(p.hash)
		if err != nil {
			return err
		}
		if err := r.Signers[i].appendInfo(&parts.infos.builder, p, d, r.Content); err != nil {
			return err
		}
		parts.infos.next()
	}
	return nil
}

// digest returns the digest of the content, computed once.
func (r *SignRequest) digest(h crypto.Hash, known map[crypto.Hash][]byte) ([]byte, error) {
	if d, ok := known[h]; ok {
		return d, nil
	}
	if r.Detached && r.Digests != nil {
		d := r.Digests[h]
		if len(d) != pkix.HashSize(h) {
			return nil, unsupported("no %s digest of the content given", DigestName(h))
		}
		return d, nil
	}
	state := pkix.NewHash(h)
	skip := r.header()
	for _, piece := range r.Content {
		n := min(skip, len(piece))
		state.Write(piece[n:])
		skip -= n
	}
	known[h] = state.Sum(nil)
	return known[h], nil
}

// header returns how many octets of the content are not signed: the identifier and
// the length of an element.
func (r *SignRequest) header() int {
	if !r.Element {
		return 0
	}
	element := slices.Concat(r.Content...)
	return len(element) - len(inside(element))
}

// checkElement refuses a content that cannot be written as an element.
func (r *SignRequest) checkElement(contentType string) error {
	if !r.Element {
		return nil
	}
	element := slices.Concat(r.Content...)
	der, err := DER(element)
	switch {
	case contentType == oidData:
		return unsupported("data that is not in an OCTET STRING")
	case r.Digests != nil:
		return unsupported("an element whose digest alone is given")
	case err != nil || !bytes.Equal(der, element) || element[0] == tagOctetString:
		return malformed("the content is not one element in DER")
	}
	return nil
}

// checkBare refuses a content that must not be signed without attributes: RFC 5652
// section 5.3 wants them for all but data, and a content that has their form could
// be presented as attributes.
func (r *SignRequest) checkBare(contentType string, p signPlan) error {
	switch {
	case contentType != oidData:
		return unsupported("a content other than data without signed attributes")
	case r.Digests != nil && p.direct:
		return unsupported("a signature over the content itself, of which only the digest is given")
	case r.Digests == nil && readsAsAttributes(slices.Concat(r.Content...)):
		return unsupported("a content in the form of signed attributes without them")
	}
	return nil
}

// signedParts are the parts of SignedData around the content.
type signedParts struct {
	contentType string
	element     bool // the content is written as it is
	version     int
	plans       []signPlan // of each signer
	algorithms  *setOf
	certs       []*x509.Certificate
	crls        [][]byte
	infos       *setOf
	behind      int // octets of the tail
}

// object puts the parts around the content.
func (p *signedParts) object(content [][]byte, detached bool) *Object {
	o := &Object{content: content, size: totalSize(content), tail: p.tail()}
	p.behind = len(o.tail)
	o.head = p.front(o.size, detached)
	return o
}

// front returns what is in front of a content of the size given, which is negative where
// it is not known.
func (p *signedParts) front(size int, detached bool) []byte {
	l := newLayout(size)
	if !detached {
		if !p.element {
			l.header(tagOctetString)
		}
		l.header(tagContext0)
	}
	l.prependOID(p.contentType)
	l.header(tagSequence)
	l.size += p.behind
	front := make(builder, 0, 64)
	front.int(p.version)
	p.algorithms.appendTo(&front, tagSet)
	l.prepend(front)
	l.wrap(oidSignedData)
	return l.bytes()
}

// tail returns what is behind the content.
func (p *signedParts) tail() []byte {
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
	return tail
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
	parts := signedParts{contentType: oidData, version: 1, algorithms: newSetOf(0), certs: certs, crls: crls, infos: newSetOf(0)}
	return parts.object(nil, true)
}
