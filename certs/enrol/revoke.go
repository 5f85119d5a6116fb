package enrol

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
)

// Revoke has the certificate of a finished order revoked by its provider, and blocks it
// here: it signs no more, and still decrypts. False: the provider cannot revoke, and the
// certificate is blocked here alone.
func (e *Enroller) Revoke(ctx context.Context, o *store.Order) (byProvider bool, err error) {
	if o.State != store.OrderDone || len(o.Certificates) == 0 {
		return byProvider, fmt.Errorf("order %s: has no certificate to revoke", short(o.ID))
	}
	en := e.named(o.Enrolment)
	if en == nil {
		return byProvider, fmt.Errorf("order %s: the configuration has no [[enrolment]] %q any more", short(o.ID), o.Enrolment)
	}
	if v, ok := en.Provider.(revoker); ok {
		if err := v.Revoke(ctx, o.Certificates[0]); err != nil {
			return byProvider, err
		}
		byProvider = true
	}
	if en.Origin == store.Issued {
		return byProvider, nil // the ledger says it
	}
	err = e.Store.SetMark(ctx, sha256.Sum256(o.Certificates[0].Raw), store.Blocked, "revoked by smimerelay enrol revoke", time.Time{})
	if errors.Is(err, store.ErrNotFound) {
		err = nil // it was removed
	}
	return byProvider, err
}

// Known reports whether the configuration still has the enrolment of an order.
func (e *Enroller) Known(o *store.Order) bool { return e.named(o.Enrolment) != nil }
