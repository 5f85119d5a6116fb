package cms

import (
	"crypto"
	"crypto/cipher"
	"crypto/fips140"
	"slices"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// notApproved returns an error of kind ErrNotApproved.
func notApproved(what string) error {
	return kindError(ErrNotApproved, "%s is %s", []any{what, pkix.NotApproved})
}

// approvedDigest refuses digests that GODEBUG=fips140=only forbids.
func approvedDigest(h crypto.Hash) error {
	if !pkix.ApprovedDigest(h) {
		return notApproved("digest " + DigestName(h))
	}
	return nil
}

// approved refuses ciphers that GODEBUG=fips140=only forbids.
func (s *cipherSpec) approved() error {
	if fips140.Enforced() && (s.block == nil || s.weak) {
		return notApproved("cipher " + string(s.name))
	}
	return nil
}

// approvedTransport refuses the key transport that GODEBUG=fips140=only forbids.
func approvedTransport(t KeyTransport) error {
	if fips140.Enforced() && t != OAEP {
		return notApproved("RSA key transport with PKCS #1 v1.5 padding")
	}
	return nil
}

// defaultTransport is what all programs read, unless GODEBUG=fips140=only forbids it.
func defaultTransport() KeyTransport {
	if fips140.Enforced() {
		return OAEP
	}
	return PKCS1
}

// An approvedGCM is AES-GCM as GODEBUG=fips140=only permits it: its nonces are made
// where they are used, and stand before the ciphertext.
type approvedGCM struct{ cipher.AEAD }

// newApprovedGCM returns b in GCM with nonces and tags of the usual sizes.
func newApprovedGCM(b cipher.Block, nonceLen, tagLen int) (cipher.AEAD, error) {
	if nonceLen != nonceSize || tagLen != tagSize {
		return nil, notApproved("AES-GCM with nonces or tags of an unusual size")
	}
	aead, err := cipher.NewGCMWithRandomNonce(b)
	return approvedGCM{aead}, err
}

// Open opens a ciphertext whose nonce is known.
func (g approvedGCM) Open(dst, nonce, ciphertext, additional []byte) ([]byte, error) {
	return g.AEAD.Open(dst, nil, slices.Concat(nonce, ciphertext), additional)
}

// seal seals the content at once, since the nonce comes with the ciphertext.
func (g approvedGCM) seal(content [][]byte) (nonce, sealed []byte) {
	sealed = g.Seal(nil, nil, slices.Concat(content...), nil) //nolint:gosec // G407: it makes the nonce itself
	return sealed[:nonceSize], sealed[nonceSize:]
}
