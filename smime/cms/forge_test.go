package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"testing"
)

// A forgery is SignedData that is put together part by part, so that any part
// can be wrong. The zero values of its fields are what is right.
type forgery struct {
	contentType string // of the encapsulated content
	content     []byte // nil: detached
	digests     []string
	certs       []*x509.Certificate
	infos       [][]byte
}

// der puts the object together.
func (f forgery) der() []byte {
	if f.contentType == "" {
		f.contentType = oidData
	}
	if f.digests == nil {
		f.digests = []string{oidSHA256}
	}
	var b builder
	outer := b.open(tagSequence)
	b.oid(oidSignedData)
	explicit := b.open(tagContext0)
	m := b.open(tagSequence)
	b.int(1)
	set := b.open(tagSet)
	for _, d := range f.digests {
		b.algorithm(d, nil)
	}
	b.close(set)
	eci := b.open(tagSequence)
	b.oid(f.contentType)
	if f.content != nil {
		c := b.open(tagContext0)
		b.tlv(tagOctetString, f.content)
		b.close(c)
	}
	b.close(eci)
	certs := b.open(tagContext0)
	for _, c := range f.certs {
		b.raw(c.Raw)
	}
	b.close(certs)
	infos := b.open(tagSet)
	for _, i := range f.infos {
		b.raw(i)
	}
	b.close(infos)
	b.close(m)
	b.close(explicit)
	b.close(outer)
	return b
}

// A forgedInfo is a SignerInfo made the same way. It is signed with P-256.
type forgedInfo struct {
	id        *identity
	attrs     [][]byte // nil: no signed attributes
	unsorted  bool     // keep the order of attrs
	message   []byte   // what is signed where there are no attributes
	digest    string   // object identifier
	hash      crypto.Hash
	signature []byte // signatureAlgorithm; nil: ecdsa-with-SHA256
	value     []byte // nil: signed by id
	unsigned  [][]byte
}

func (f forgedInfo) der(t testing.TB) []byte {
	t.Helper()
	if f.digest == "" {
		f.digest = oidSHA256
	}
	if f.hash == 0 {
		f.hash = crypto.SHA256
	}
	if f.signature == nil {
		var b builder
		b.algorithm(oidECDSASHA256, nil)
		f.signature = b
	}
	var set builder
	if f.attrs != nil {
		set = f.set()
		f.message = set
	}
	if f.value == nil {
		var err error
		if f.value, err = f.id.key.Sign(rand.Reader, sum(f.hash, f.message), f.hash); err != nil {
			t.Fatal(err)
		}
	}
	var b builder
	m := b.open(tagSequence)
	b.int(1)
	b.identifier(f.id.cert, false)
	b.algorithm(f.digest, nil)
	if set != nil {
		at := len(b)
		b.raw(set)
		b[at] = tagContext0
	}
	b.raw(f.signature)
	b.tlv(tagOctetString, f.value)
	if f.unsigned != nil {
		b.raw(sortedSet(tagContext0+1, f.unsigned))
	}
	b.close(m)
	return b
}

// set returns the attributes under the SET OF tag.
func (f forgedInfo) set() builder {
	if !f.unsorted {
		return sortedSet(tagSet, f.attrs)
	}
	var b builder
	m := b.open(tagSet)
	for _, a := range f.attrs {
		b.raw(a)
	}
	b.close(m)
	return b
}

// goodAttributes are those without which no signature is good.
func goodAttributes(content []byte) [][]byte {
	return [][]byte{typeAttribute(oidData), digestAttribute(sum(crypto.SHA256, content))}
}

func typeAttribute(oid string) []byte {
	var b builder
	b.oid(oid)
	return attribute(oidContentType, b)
}

func digestAttribute(digest []byte) []byte {
	var b builder
	b.tlv(tagOctetString, digest)
	return attribute(oidMessageDigest, b)
}

// attributeWith returns an Attribute with any number of values.
func attributeWith(oid string, values ...[]byte) []byte {
	var b builder
	m := b.open(tagSequence)
	b.oid(oid)
	s := b.open(tagSet)
	for _, v := range values {
		b.raw(v)
	}
	b.close(s)
	b.close(m)
	return b
}

// verifyOne parses and verifies an object with one signer.
func verifyOne(t testing.TB, der []byte, o VerifyOptions) SignerResult {
	t.Helper()
	s, err := ParseSignedData(der)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Verify(o)
	if len(r) != 1 {
		t.Fatalf("%d signers", len(r))
	}
	return r[0]
}

func certificates(ids ...*identity) (list []*x509.Certificate) {
	for _, id := range ids {
		list = append(list, id.cert)
	}
	return list
}

// sortedSet returns a SET OF in DER.
func sortedSet(tag byte, elements [][]byte) []byte {
	set := newSetOf(0)
	for _, e := range elements {
		set.add(e)
	}
	return set.bytes(tag)
}

// attribute returns an Attribute with one value.
func attribute(oid string, value []byte) []byte { return attributeWith(oid, value) }

// built returns what f appends.
func built(f func(b *builder)) []byte {
	var b builder
	f(&b)
	return b
}
