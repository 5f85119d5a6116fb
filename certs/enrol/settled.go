package enrol

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// rest is the least time between two certificates of one address, where the first is still
// the one that an administrator wants.
const rest = time.Hour

// settled says why no further certificate is ordered for an address whose identity is due or
// missing: one came already, and is pinned over, begins later, or was due when it came. A
// provider that goes on to send such does not get an order with every message. Nil: nothing
// speaks against an order.
func (e *Enroller) settled(ctx context.Context, a address.Address) (*notYet, error) {
	orders, err := e.Store.Orders(ctx, store.OrderQuery{Address: &a, States: []store.OrderState{store.OrderDone}})
	if err != nil {
		return nil, err
	}
	now := e.Clock()
	for i := range orders {
		o := &orders[i]
		if o.Purpose == store.ForEncryption || len(o.Certificates) == 0 {
			continue
		}
		next := e.nextOrder(ctx, o)
		if !now.Before(next) {
			continue
		}
		if kept, err := e.kept(ctx, o.Certificates[0]); err != nil || !kept {
			if err != nil {
				return nil, err
			}
			continue
		}
		c := o.Certificates[0]
		return &notYet{fmt.Sprintf("a certificate that is valid from %s to %s came on %s (order %s); another is ordered from %s on",
			date(c.NotBefore), date(c.NotAfter), date(o.ChangedAt), short(o.ID), date(next))}, nil
	}
	return nil, nil
}

// nextOrder is from when on the certificate of an order may be followed by another: when it
// is due, but not before half of what was left of it when it came.
func (e *Enroller) nextOrder(ctx context.Context, o *store.Order) time.Time {
	c := o.Certificates[0]
	switch {
	case !e.Due(ctx, &certs.Identity{Certificate: c}):
		return c.NotAfter
	case e.Clock().Before(c.NotAfter) && e.judgedDue(c):
		return time.Time{} // what its CA has revoked is replaced at once
	}
	return o.ChangedAt.Add(max(c.NotAfter.Sub(o.ChangedAt)/2, rest))
}

// judgedDue reports whether a provider replaces a certificate however long it is valid.
func (e *Enroller) judgedDue(c *x509.Certificate) bool {
	for i := range e.Enrolments {
		if j, ok := e.Enrolments[i].Provider.(judge); ok && j.Due(c, 0) {
			return true
		}
	}
	return false
}

// kept reports whether a certificate is in the store with its key, and neither revoked nor
// blocked: else someone wants another one.
func (e *Enroller) kept(ctx context.Context, c *x509.Certificate) (bool, error) {
	found, err := e.Store.Find(ctx, store.Query{Prefix: fmt.Sprintf("%x", sha256.Sum256(c.Raw)), Limit: 1})
	if err != nil || len(found) == 0 {
		return false, err
	}
	f := &found[0]
	return f.HasKey && f.RevokedAt.IsZero() && !f.BlockedAt(e.Clock()), nil
}

// own returns the identity that signs for an address now that its orders are done.
func (e *Enroller) own(ctx context.Context, a address.Address) (*certs.Identity, error) {
	id, err := e.Keys.Signing(ctx, a)
	if err != nil || id != nil {
		return id, err
	}
	wait, err := e.settled(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case wait != nil:
		return nil, wait
	}
	return nil, &notYet{"the order ended without a certificate that signs"}
}
