// Package describe tells people and programs what is known of a certificate: what is in
// it, what it can be used for now and why not, and what the store has of it.
package describe

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
)

// Found is a certificate with everything that is known of it.
type Found struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // what came with it
	Entry       *store.Entry        // nil: it is not in the store
	Actions     []store.Action      // what was done with Entry
	Uses        map[certs.Purpose]certs.Verdict
}

// Judge finds out what the certificate may be used for. Its addresses are not
// asked about: it may serve for those that it names.
func (s *Found) Judge(ctx context.Context, checker certs.Checker, revocation certs.RevocationMode) {
	s.Uses = map[certs.Purpose]certs.Verdict{}
	for _, p := range []certs.Purpose{certs.ForSigning, certs.ForEncryption} {
		s.Uses[p] = checker.Check(ctx, s.Certificate, certs.Request{Purpose: p, Intermediates: s.Chain, Revocation: revocation})
	}
}

// Verdict is the one that says more about the chain.
func (s *Found) Verdict() certs.Verdict {
	v := s.Uses[certs.ForSigning]
	if other := s.Uses[certs.ForEncryption]; v.Result != certs.Pass && (other.Result == certs.Pass || v.Reason == certs.WrongPurpose) {
		return other
	}
	return v
}

// Fingerprint writes the SHA-256 of a certificate in full.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
