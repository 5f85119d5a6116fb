package service

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Why there is no authority to work with.
var (
	ErrNoAuthority      = errors.New("there is no CA yet; create one with: smimerelay ca init")
	errRevokedAuthority = errors.New("the issuing CA was revoked; create a new one below the same root with: smimerelay ca renew")
	ErrNoAuthorityURL   = errors.New("there is no CA: ca.url is empty; set it to the URL from which partners fetch the CRLs")
)

// Held is a built-in CA with what the store has of it.
type Held struct {
	// Name is that of its files: ca.Root, ca.Issuing or a further generation's.
	Name        string
	Certificate *x509.Certificate
	// Authority is nil where its key is not in the store.
	Authority *ca.Authority
	// Revoked says that the root has taken it back.
	Revoked bool
}

// Authorities are those in a store.
type Authorities struct {
	// Issuing is the one that issues, unless Spent. Root is above it; nil where it is
	// not known, as with an authority that was imported.
	Issuing *ca.Authority
	Root    *Held
	// Spent says why nothing more is issued; nil where it is.
	Spent  error
	all    []Held
	config *config.Config
	store  *store.Store
	own    func(address.Address) bool
	clock  func() time.Time
}

// OpenAuthorities reads our authorities: of several that issue, the latest issues and
// those before it go on to publish. ErrNoAuthority: there is none.
func OpenAuthorities(ctx context.Context, c *config.Config, s *store.Store, clock func() time.Time) (*Authorities, error) {
	if c.CA.URL == "" {
		return nil, ErrNoAuthorityURL
	}
	found, err := s.Find(ctx, store.Query{Origins: []store.Origin{store.Authority}})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, byAge)
	own, err := isLocal(c)
	if err != nil {
		return nil, err
	}
	a := &Authorities{config: c, store: s, own: own, clock: clock}
	var roots, issuing []store.Entry
	for _, e := range found {
		if ca.SelfIssued(e.Certificate) {
			roots = append(roots, e)
		} else if e.HasKey && clock().Before(e.Certificate.NotAfter) {
			issuing = append(issuing, e)
		}
	}
	if len(issuing) == 0 && len(roots) > 0 && roots[0].HasKey {
		issuing, roots = roots[:1], nil // one that was imported and is its own root
	}
	if len(issuing) == 0 {
		return nil, ErrNoAuthority
	}
	if err := a.hold(ctx, issuing); err != nil {
		return nil, err
	}
	if len(roots) > 0 {
		a.Root, err = a.open(ctx, ca.Root, &roots[0])
		if err != nil {
			return nil, err
		}
		a.all = append(a.all, *a.Root)
	}
	return a, nil
}

// byAge sorts the latest first.
func byAge(a, b store.Entry) int {
	return cmp.Or(b.Certificate.NotBefore.Compare(a.Certificate.NotBefore),
		cmp.Compare(ca.GenerationOf(b.Certificate), ca.GenerationOf(a.Certificate)))
}

// hold opens those that issue or did, the latest first.
func (a *Authorities) hold(ctx context.Context, list []store.Entry) error {
	for i := range list {
		name := ca.IssuingName(list[i].Certificate)
		if slices.ContainsFunc(a.all, func(h Held) bool { return h.Name == name }) {
			continue // a later one has its place
		}
		h, err := a.open(ctx, name, &list[i])
		if err != nil {
			return err
		}
		a.all = append(a.all, *h)
	}
	a.Issuing = a.all[0].Authority
	if a.all[0].Revoked {
		a.Spent = errRevokedAuthority
	}
	return nil
}

func (a *Authorities) open(ctx context.Context, name string, e *store.Entry) (*Held, error) {
	h := &Held{Name: name, Certificate: e.Certificate, Revoked: !e.RevokedAt.IsZero()}
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

// former are the authorities before the one that issues.
func (a *Authorities) former() []builtin.Former {
	var list []builtin.Former
	for _, h := range a.all[1:] {
		if h.Name != ca.Root {
			list = append(list, builtin.Former{Certificate: h.Certificate, Revoked: h.Revoked})
		}
	}
	return list
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
		return nil, fmt.Errorf("authority %q: its key cannot sign", id.Certificate.Subject.CommonName)
	}
	validity := c.CA.CRLValidity
	if name == ca.Root {
		validity = ca.RootCRLValidity
	}
	return ca.New(ca.Config{
		Certificate: id.Certificate, Key: key, Chain: id.Chain, Ledger: s,
		Place:   ca.Place{URL: c.CA.URL, Name: name},
		Profile: ca.Profile(c.CA.Profile), OCSP: c.CA.OCSP, CRLValidity: validity, Clock: clock,
	})
}

// All returns the authorities, the issuing one first.
func (a *Authorities) All() []Held { return a.all }

// keep puts identities that were issued into the store.
func (a *Authorities) keep(ctx context.Context, ids ...*certs.Identity) error {
	_, err := a.store.PutIdentity(ctx, store.Issued, ids...)
	return err
}

// isLocal is what says whether an address is of one of our domains.
func isLocal(c *config.Config) (func(address.Address) bool, error) {
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
