package cms

import (
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// verifyBare checks a signature that is over the content itself (RFC 5652 section
// 5.4). Only data may be signed so (section 5.3). An attacker who has a signature with
// attributes can present it as one over a content that has the octets of these
// attributes: such a content is refused, with every signer.
func (v *verifier) verifyBare(s *signerInfo, candidates []*x509.Certificate, alg pkix.Algorithm, r *SignerResult) error {
	r.Bare = true
	switch {
	case !v.options.AllowBare:
		return badAttributes("there are none")
	case v.data.ContentType != TypeData:
		return badAttributes("there are none, and content type is %s", v.data.ContentType)
	case v.options.Digests != nil, v.data.read != nil && v.options.Content == nil:
		return unsupported("no signed attributes, and the content is not at hand")
	}
	if s.unsigned != nil {
		if err := checkUnsigned(s.unsigned); err != nil {
			return err
		}
	}
	content := v.content()
	if readsAsAttributes(content) {
		return badAttributes("there are none, and the content has their form")
	}
	if err := v.checkStrength(digestOf(s.digest), r); err != nil {
		return err
	}
	return v.tryCertificates(candidates, new(attributes), slices.Values([][]byte{content}), s.value, alg, r)
}

// content returns the content in one piece.
func (v *verifier) content() []byte {
	if v.options.Content != nil || v.data.Content == nil {
		if len(v.options.Content) == 1 {
			return v.options.Content[0]
		}
		return slices.Concat(v.options.Content...)
	}
	return v.data.Content.Bytes()
}

// readsAsAttributes reports whether content has the form of SignedAttributes.
func readsAsAttributes(content []byte) bool {
	c := newCursor(content)
	if !c.enter(tagSet) || !c.more() {
		return false
	}
	for c.more() {
		c.enter(tagSequence)
		c.primitive(tagOID)
		c.enter(tagSet)
		for c.more() {
			c.skip()
		}
		c.leave()
		c.leave()
	}
	return c.err == nil
}
