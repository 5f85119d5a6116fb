package service

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Local says why there is no certificate for an address: it is not in a local domain. Nil is
// that it is in one.
func (a *Authorities) Local(addr address.Address) error {
	if a.own(addr) {
		return nil
	}
	return fmt.Errorf("%s is not in a local domain; the CA issues only for local domains: see domains in %s", addr, a.config.File())
}

// Order is what an administrator orders of the CA.
type Order struct {
	Address address.Address
	// Key and Days are "" and 0 for those of the configuration; Separate asks for two keys
	// also where that does not.
	Key      string
	Days     int
	Separate bool
}

// Request is what the CA is asked for by an order, or why it cannot be met, as far as that is
// known beforehand.
func (a *Authorities) Request(o Order) (ca.Request, error) {
	if a.Spent != nil {
		return ca.Request{}, a.Spent
	}
	if err := a.Local(o.Address); err != nil {
		return ca.Request{}, err
	}
	r := ca.Request{
		Address: o.Address, Key: cmp.Or(o.Key, a.config.CA.KeyType), Validity: a.config.CA.Validity,
		Separate: o.Separate || a.config.CA.SeparateKeys,
	}
	if o.Days > 0 {
		r.Validity = time.Duration(min(o.Days, 10_000)) * 24 * time.Hour
	}
	return r, a.Issuing.Check(r)
}

// Valid returns a certificate of the CA for an address that is valid and not revoked, with its
// key in the store; nil where there is none. Partners who keep it go on encrypting to it when
// there is another one.
func (a *Authorities) Valid(ctx context.Context, addr address.Address) (*x509.Certificate, error) {
	has := true
	entries, err := a.store.Find(ctx, store.Query{Address: &addr, HasKey: &has, Origins: []store.Origin{store.Issued}})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.RevokedAt.IsZero() && !e.Certificate.NotAfter.Before(a.clock()) {
			return e.Certificate, nil
		}
	}
	return nil, nil
}

// Issue makes identities and puts them into the store.
func (a *Authorities) Issue(ctx context.Context, r ca.Request) ([]*certs.Identity, error) {
	ids, err := a.Issuing.Issue(ctx, r)
	if err != nil {
		return nil, err
	}
	return ids, a.keep(ctx, ids...)
}

// IssuerOf returns the authority that issued a certificate; nil where that is none of these, or its
// key is elsewhere.
func (a *Authorities) IssuerOf(cert *x509.Certificate) *ca.Authority {
	for _, h := range a.All() {
		if h.Authority != nil && !h.Certificate.Equal(cert) && pkix.SignedBy(cert, h.Certificate, false) {
			return h.Authority
		}
	}
	return nil
}

// Why a certificate cannot be revoked.
var (
	ErrForeign     = errors.New("not issued by this CA, or the CA key is not in the store; only the issuer can revoke a certificate (use cert block to refuse it here)")
	ErrNotRecorded = errors.New("not in the records of this CA")
)

// Revoke revokes a certificate, for good. The new CRL is to be published then (WriteFiles).
func (a *Authorities) Revoke(ctx context.Context, cert *x509.Certificate, reason ca.Reason) error {
	issuer := a.IssuerOf(cert)
	if issuer == nil {
		return ErrForeign
	}
	// Once it is in the records the CRL is made, whether or not the client still waits.
	_, err := issuer.Revoke(context.WithoutCancel(ctx), cert, reason)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotRecorded
	}
	return err
}
