package cms

import (
	"crypto"
	"crypto/rsa"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// hashAndMask reads the [0] digest and the [1] digest of MGF1 that OAEP parameters
// begin with; 0 stands for an unknown one.
func (c *cursor) hashAndMask() (hash, mask crypto.Hash) {
	hash, mask = crypto.SHA1, crypto.SHA1
	if c.optional(tagContext0) {
		hash = digestOf(c.algorithm())
		c.leave()
	}
	if c.optional(tagContext0 + 1) {
		a := c.algorithm()
		c.leave()
		in := newCursor(a.params)
		mask = digestOf(in.algorithm())
		if in.err != nil || !a.is(oidMGF1) {
			mask = 0
		}
	}
	return hash, mask
}

// hashAndMask appends what the method of the cursor reads.
func (b *builder) hashAndMask(h crypto.Hash) {
	if h == crypto.SHA1 { // DER leaves defaults out
		return
	}
	m := b.open(tagContext0)
	b.algorithm(pkix.DigestOID(h), null())
	b.close(m)
	m = b.open(tagContext0 + 1)
	mgf := b.open(tagSequence)
	b.oid(oidMGF1)
	b.algorithm(pkix.DigestOID(h), null())
	b.close(mgf)
	b.close(m)
}

// pssParams returns RSASSA-PSS-params with a salt as long as the digest.
func pssParams(h crypto.Hash) []byte {
	b := make(builder, 0, 64)
	m := b.open(tagSequence)
	b.hashAndMask(h)
	s := b.open(tagContext0 + 2)
	b.int(h.Size())
	b.close(s)
	b.close(m)
	return b
}

// oaepParams returns RSAES-OAEP-params (RFC 4055 section 4.1).
func oaepParams(h crypto.Hash) []byte {
	b := make(builder, 0, 64)
	m := b.open(tagSequence)
	b.hashAndMask(h)
	b.close(m)
	return b
}

// oaepOf reads RSAES-OAEP-params.
func oaepOf(params []byte) (*rsa.OAEPOptions, error) {
	if params == nil {
		return nil, malformed("OAEP without parameters")
	}
	o := new(rsa.OAEPOptions)
	c := newCursor(params)
	c.enter(tagSequence)
	o.Hash, o.MGFHash = c.hashAndMask()
	if c.optional(tagContext0 + 2) {
		a := c.algorithm()
		c.leave()
		if c.err == nil && !a.is(oidPSpecified) {
			return nil, unsupported("OAEP label source %v", a)
		}
		in := newCursor(a.params)
		o.Label = in.octetBytes(tagOctetString)
		if in.err != nil {
			return nil, in.err
		}
	}
	c.leave()
	if c.err != nil {
		return nil, c.err
	}
	for _, h := range []crypto.Hash{o.Hash, o.MGFHash} {
		if h == 0 || h == crypto.MD5 || shakes(h) {
			return nil, unsupported("OAEP with this digest")
		}
		if err := approvedDigest(h); err != nil {
			return nil, err
		}
	}
	return o, nil
}
