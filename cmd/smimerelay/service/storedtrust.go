package service

import (
	"context"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
)

// storedTrust is what the store says about whom to trust.
type storedTrust struct {
	generation  int64
	exceptions  []certs.Exception
	authorities []*x509.Certificate // our own
}

// storedTrust asks the store. What it does not answer is a problem: to go on
// without the marks would be to believe what is blocked.
func (b *builder) storedTrust() storedTrust {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	t, err := readTrust(ctx, b.parts.store.Store)
	if err != nil {
		b.complain("store.url", err.Error(), "see whether the database answers")
	}
	return t
}

// readTrust reads the generation first: what changes meanwhile is then seen as a
// change.
func readTrust(ctx context.Context, s *store.Store) (t storedTrust, err error) {
	if t.generation, err = s.TrustGeneration(ctx); err != nil {
		return t, err
	}
	if t.exceptions, err = s.Exceptions(ctx); err != nil {
		return t, err
	}
	own, err := s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}})
	for _, e := range own {
		t.authorities = append(t.authorities, e.Certificate)
	}
	return t, err
}
