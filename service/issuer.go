package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// authority opens our authorities, where the configuration has some: an issuer
// that says why it cannot where they cannot.
func (b *builder) authority() gateway.Issuer {
	if b.config.CA.URL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	a, err := OpenAuthorities(ctx, b.config, b.parts.store.Store, b.clock)
	switch {
	case errors.Is(err, ErrNoAuthority):
		return noIssuer{err}
	case err != nil:
		b.complain("ca", err.Error(), "check that the store and its key file belong together")
		return nil
	}
	b.parts.authorities = a
	if a.Spent != nil {
		return noIssuer{a.Spent}
	}
	c := b.config.CA
	return ca.NewOnDemand(ca.OnDemandConfig{
		Authority: a.Issuing, Key: c.KeyType, Validity: c.Validity, Separate: c.SeparateKeys,
		RenewBefore: c.RenewBefore, PerHour: c.MaxPerHour,
		Keys: b.parts.Keys, Withheld: a.withheld, Former: a.former(),
		Keep: func(ctx context.Context, ids ...*certs.Identity) error {
			if err := a.Keep(ctx, ids...); err != nil {
				return err
			}
			b.log.Info("identity issued", "address", ids[0].Certificate.Subject.CommonName, "not_after", ids[0].Certificate.NotAfter)
			return nil
		},
	})
}

// withheld says no to an address whose last certificate was revoked for a
// reason that a new one would not mend: an administrator has to decide.
func (a *Authorities) withheld(ctx context.Context, addr address.Address) error {
	found, err := a.store.Find(ctx, store.Query{Address: &addr, Origins: []store.Origin{store.Issued}, Limit: 1})
	if err != nil || len(found) == 0 || found[0].RevokedAt.IsZero() {
		return err
	}
	if reason := ca.ReasonOf(found[0].RevocationReason); reason.Final() {
		return fmt.Errorf("the certificate of %s was revoked (%s); to issue a new one, run: smimerelay cert issue %s", addr, reason, addr)
	}
	return nil
}

// noIssuer issues nothing.
type noIssuer struct{ why error }

// Issue implements relay.Issuer.
func (n noIssuer) Issue(context.Context, address.Address) (*certs.Identity, error) { return nil, n.why }

// Due implements relay.Issuer.
func (noIssuer) Due(*certs.Identity) bool { return false }

// Ready implements relay.Issuer.
func (n noIssuer) Ready(context.Context) error { return n.why }
