// Package builtin is the provider of the built-in authority.
package builtin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Provider has the built-in authority certify keys.
type Provider struct {
	Authority *ca.Authority
	// Validity is that of what is issued; 0 is a year.
	Validity time.Duration
	// PerHour is the most certificates of the authority in an hour, for all
	// addresses and commands together.
	PerHour int
	// Former are the authorities before this one.
	Former []Former
	// Store is where the authority's ledger keeps what it issued.
	Store *store.Store
	// Withheld says why an address gets no certificate without an administrator; nil:
	// it does.
	Withheld func(ctx context.Context, a address.Address) error
	// Local reports whether an address is in a local domain, which is needed for a
	// certificate; nil: every address is.
	Local func(a address.Address) bool
}

// Former is an authority before the one that issues.
type Former struct {
	Certificate *x509.Certificate
	// Revoked: what it issued is replaced at once, and renews nothing.
	Revoked bool
}

var errTooMany = errors.New("too many certificates were issued in the last hour; raise ca.max_per_hour if that is intended")

// year is the validity where none is given.
const year = 365 * 24 * time.Hour

// Begin implements enrol.Provider.
func (p *Provider) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	key, ok := o.Key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return enrol.Answer{}, errors.New("the key of the order has no public half")
	}
	chain, err := p.Authority.Certify(ctx, ca.Request{Address: o.Address, Validity: p.Validity}, enrol.Use(o.Purpose), key.Public())
	return enrol.Answer{Certificates: chain}, err
}

// Continue implements enrol.Provider: what was issued before the process died is with the
// ledger.
func (p *Provider) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	found, err := p.Store.Find(ctx, store.Query{Address: &o.Address, Origins: []store.Origin{store.Issued}, Issuer: p.issuer()})
	if err != nil {
		return enrol.Answer{}, err
	}
	for _, e := range found {
		if e.RevokedAt.IsZero() && (&certs.Identity{Certificate: e.Certificate, Key: o.Key}).Check() == nil {
			return enrol.Answer{Certificates: append([]*x509.Certificate{e.Certificate}, p.Authority.Intermediates()...)}, nil
		}
	}
	return p.Begin(ctx, o)
}

func (p *Provider) issuer() []byte { return p.Authority.Config.Certificate.RawSubject }

// Ready says why nothing can be issued now.
func (p *Provider) Ready(ctx context.Context, a address.Address, n int) error {
	if p.Local != nil && !p.Local(a) {
		return &enrol.Refusal{Cause: fmt.Errorf("%s is not in a local domain; the CA issues only for local domains: see domains in the configuration", a)}
	}
	if err := p.Authority.Check(ca.Request{Address: a, Validity: p.Validity}); err != nil {
		return err
	}
	if p.Withheld != nil {
		if err := p.Withheld(ctx, a); err != nil {
			return err
		}
	}
	done, err := p.Store.IssuedSince(ctx, p.issuer(), p.Authority.Clock().Add(-time.Hour))
	if err == nil && done+n > p.PerHour {
		err = errTooMany
	}
	return err
}

// Due reports whether a certificate is to be replaced: if this authority or one before it
// issued it, and it expires soon. Near the end of the authority itself nothing better
// could be had.
func (p *Provider) Due(c *x509.Certificate, before time.Duration) bool {
	by := slices.IndexFunc(p.Former, func(f Former) bool { return bytes.Equal(f.Certificate.RawSubject, c.RawIssuer) })
	if by < 0 && !bytes.Equal(c.RawIssuer, p.issuer()) {
		return false
	}
	revoked := by >= 0 && p.Former[by].Revoked
	length := p.Validity
	if length == 0 {
		length = year
	}
	end := p.Authority.Config.Certificate.NotAfter
	return revoked || c.NotAfter.Before(end) && p.Authority.Clock().Add(min(before, length/2)).After(c.NotAfter)
}

// Revoke revokes what this authority issued.
func (p *Provider) Revoke(ctx context.Context, c *x509.Certificate) error {
	if !pkix.SignedBy(c, p.Authority.Config.Certificate, false) {
		return errors.New("the built-in CA did not issue it, or an earlier one did; see smimerelay cert revoke")
	}
	_, err := p.Authority.Revoke(ctx, c, ca.Unspecified)
	return err
}
