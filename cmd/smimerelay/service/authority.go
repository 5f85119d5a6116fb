package service

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/config"
)

// Why there is no authority to work with.
var (
	ErrNoAuthority    = errors.New("there is no authority yet; make one with: smimerelay ca init")
	ErrNoAuthorityURL = errors.New("there is no authority: ca.url is empty; write the address below which partners will fetch its revocation lists")
)

// Held is an authority of ours with what the store has of it.
type Held struct {
	// Name is ca.Root or ca.Issuing: the name of its files.
	Name        string
	Certificate *x509.Certificate
	// Authority is nil where its key is not in the store.
	Authority *ca.Authority
}

// Authorities are those in a store.
type Authorities struct {
	// Issuing is the one that issues, and can. Root is above it; nil where it is not
	// known, as with an authority that was imported.
	Issuing *ca.Authority
	Root    *Held
	all     []Held
	config  *config.Config
	store   *store.Store
	clock   func() time.Time
}

// OpenAuthorities reads our authorities: of several, the latest. ErrNoAuthority:
// there is none.
func OpenAuthorities(ctx context.Context, c *config.Config, s *store.Store, clock func() time.Time) (*Authorities, error) {
	if c.CA.URL == "" {
		return nil, ErrNoAuthorityURL
	}
	found, err := s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}})
	if err != nil {
		return nil, err
	}
	a := &Authorities{config: c, store: s, clock: clock}
	root := latest(found, func(e store.Entry) bool { return ca.SelfIssued(e.Certificate) })
	issuing := latest(found, func(e store.Entry) bool { return e.HasKey && !ca.SelfIssued(e.Certificate) })
	if issuing == nil && root != nil && root.HasKey {
		issuing, root = root, nil // one that was imported and is its own root
	}
	if issuing == nil {
		return nil, ErrNoAuthority
	}
	held, err := a.open(ctx, ca.Issuing, issuing)
	if err != nil {
		return nil, err
	}
	a.Issuing, a.all = held.Authority, []Held{*held}
	if root != nil {
		if a.Root, err = a.open(ctx, ca.Root, root); err != nil {
			return nil, err
		}
		a.all = append(a.all, *a.Root)
	}
	return a, nil
}

func latest(list []store.Entry, ok func(store.Entry) bool) *store.Entry {
	var best *store.Entry
	for i, e := range list {
		if ok(e) && (best == nil || e.Certificate.NotBefore.After(best.Certificate.NotBefore)) {
			best = &list[i]
		}
	}
	return best
}

func (a *Authorities) open(ctx context.Context, name string, e *store.Entry) (*Held, error) {
	h := &Held{Name: name, Certificate: e.Certificate}
	if !e.HasKey {
		return h, nil
	}
	id, err := a.store.Identity(ctx, e.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("authority %q: %w", e.Certificate.Subject.CommonName, err)
	}
	h.Authority, err = a.With(name, id)
	return h, err
}

// With returns the authority of an identity, such as a root whose key came from
// elsewhere.
func (a *Authorities) With(name string, id *certs.Identity) (*ca.Authority, error) {
	return NewAuthority(a.config, a.store, a.clock, name, id)
}

// NewAuthority makes an authority of an identity, as the configuration says.
func NewAuthority(c *config.Config, s *store.Store, clock func() time.Time, name string, id *certs.Identity) (*ca.Authority, error) {
	key, ok := id.Key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority %q: its key does not sign", id.Certificate.Subject.CommonName)
	}
	validity := c.CA.CRLValidity
	if name == ca.Root {
		validity = ca.RootCRLValidity
	}
	return ca.New(ca.Config{
		Certificate: id.Certificate, Key: key, Chain: id.Chain, Ledger: s,
		Place:   ca.Place{URL: c.CA.URL, Name: name},
		Profile: ca.Profile(c.CA.Profile), CRLValidity: validity, Clock: clock,
	})
}

// All returns the authorities, the issuing one first.
func (a *Authorities) All() []Held { return a.all }

// Keep puts identities that were issued into the store.
func (a *Authorities) Keep(ctx context.Context, ids ...*certs.Identity) error {
	_, err := a.store.PutIdentity(ctx, store.Issued, ids...)
	return err
}

// Own is what says whether an address is of one of our domains.
func Own(c *config.Config) (func(address.Address) bool, error) {
	b := &builder{config: c}
	if b.hostname(); len(b.problems) > 0 {
		return nil, b.problems
	}
	domains, err := enforce.CompilePatterns(b.domains())
	if err != nil {
		return nil, fmt.Errorf("domains: %w", err)
	}
	return domains.Match, nil
}
