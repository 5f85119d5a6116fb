package cms

import (
	"bytes"
	"crypto"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// An algorithm is an AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
type algorithm struct {
	oid    []byte
	params []byte // a whole element; nil where absent
}

// algorithm reads an AlgorithmIdentifier.
func (c *cursor) algorithm() (a algorithm) {
	return c.algorithmTagged(tagSequence)
}

// algorithmTagged reads an AlgorithmIdentifier with an implicit tag.
func (c *cursor) algorithmTagged(tag byte) (a algorithm) {
	if !c.enter(tag) {
		return a
	}
	a.oid = c.primitive(tagOID)
	if c.more() {
		a.params = c.raw()
	}
	c.leave()
	return a
}

// is reports whether a has the given object identifier.
func (a algorithm) is(oid string) bool { return string(a.oid) == oid }

// bare reports whether a has no parameters, or NULL, which many write where
// none belong (RFC 5754 section 2).
func (a algorithm) bare() bool {
	return a.params == nil || bytes.Equal(a.params, []byte{tagNull, 0})
}

// equal reports whether a and b are the same algorithm with the same
// parameters, NULL and none being the same.
func (a algorithm) equal(b algorithm) bool {
	return bytes.Equal(a.oid, b.oid) &&
		(bytes.Equal(a.params, b.params) || a.bare() && b.bare())
}

// String returns the dotted object identifier.
func (a algorithm) String() string { return dotted(a.oid) }

// algorithm appends an AlgorithmIdentifier; params may be nil.
func (b *builder) algorithm(oid string, params []byte) {
	m := b.open(tagSequence)
	b.oid(oid)
	b.raw(params)
	b.close(m)
}

// null is the parameter that RSA algorithms require (RFC 4055 section 1.2).
func null() []byte { return []byte{tagNull, 0} }

// dotted returns the dotted form of an object identifier given by its contents,
// shortened where it is absurdly long.
func dotted(oid []byte) string {
	if len(oid) > 32 {
		return "oid of " + strconv.Itoa(len(oid)) + " octets"
	}
	var s strings.Builder
	var n uint64
	for _, b := range oid {
		n = n<<7 | uint64(b&0x7f)
		if b&0x80 != 0 {
			continue
		}
		if s.Len() == 0 {
			first := min(n/40, 2)
			s.WriteString(strconv.FormatUint(first, 10))
			n -= first * 40
		}
		s.WriteByte('.')
		s.WriteString(strconv.FormatUint(n, 10))
		n = 0
	}
	return s.String()
}

// digestOf returns the hash function of a digest algorithm, 0 if it is unknown
// or has parameters that do not belong to it.
func digestOf(a algorithm) crypto.Hash {
	if !a.bare() {
		return 0
	}
	return pkix.DigestByOID(a.oid)
}

// DigestName returns the name of a hash function as micalg has it (RFC 8551
// section 3.5.3.2), "" if it is none of S/MIME's.
func DigestName(h crypto.Hash) string { return pkix.DigestName(h) }

// DigestByName is the inverse of DigestName and tolerant: any case, with the
// dash or without it.
func DigestByName(name string) (crypto.Hash, bool) { return pkix.DigestByName(name) }

// sendable reports whether messages may be signed with h.
func sendable(h crypto.Hash) bool {
	return h == crypto.SHA256 || h == crypto.SHA384 || h == crypto.SHA512
}
