package service

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// storedTrust is what the store says about whom to trust.
type storedTrust struct {
	generation  int64
	exceptions  []path.Exception
	authorities []*x509.Certificate // our own
	crls        [][]byte            // the newest of each, DER
	// allowed are those of the exceptions that allow. Authorities among them
	// are needed to build the paths that they end.
	allowed []*x509.Certificate
}

// anchors are those of our own authorities that have no own issuer: what
// the root says about one below it counts with us too.
func (t storedTrust) anchors() []*x509.Certificate { return t.split(false) }

// below are the other ones, which help to build paths.
func (t storedTrust) below() []*x509.Certificate { return t.split(true) }

func (t storedTrust) split(below bool) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range t.authorities {
		above := slices.ContainsFunc(t.authorities, func(a *x509.Certificate) bool {
			return !a.Equal(c) && pkix.SignedBy(c, a, false)
		})
		if above == below {
			list = append(list, c)
		}
	}
	return list
}

// storedTrust asks the store. What it does not answer is a problem: to go on
// without the marks would be to trust what is blocked.
func (b *builder) storedTrust() storedTrust {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	t, err := readTrust(ctx, b.parts.store.Store)
	if err != nil {
		b.complain("store.url", err.Error(), "check that the database is available")
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
	if t.authorities, err = certificatesOf(ctx, s, store.Query{Origins: []store.Origin{store.Authority}}); err != nil {
		return t, err
	}
	for _, own := range t.authorities {
		crl, err := s.CRL(ctx, own.RawSubject)
		if err != nil {
			return t, err
		}
		if crl != nil {
			t.crls = append(t.crls, crl)
		}
	}
	t.allowed, err = certificatesOf(ctx, s, store.Query{Mark: store.Allowed})
	return t, err
}

func certificatesOf(ctx context.Context, s *store.Store, q store.Query) ([]*x509.Certificate, error) {
	found, err := s.Find(ctx, q)
	var list []*x509.Certificate
	for _, e := range found {
		list = append(list, e.Certificate)
	}
	return list, err
}
