package enrol

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
)

// What is noted with certificates that are blocked.
const (
	noteRevoked   = "revoked by smimerelay enrol revoke"
	noteCancelled = "its order was cancelled"
)

// Revoke blocks the certificate of a finished order here, so that it signs no more and still
// decrypts, and then has its provider revoke it. False without an error: the provider cannot
// revoke. An error that is NotByProvider leaves it blocked here alone.
func (e *Enroller) Revoke(ctx context.Context, o *store.Order) (byProvider bool, err error) {
	if o.State != store.OrderDone || len(o.Certificates) == 0 {
		return false, fmt.Errorf("order %s: has no certificate to revoke", short(o.ID))
	}
	return e.withdraw(ctx, o, o.Certificates[0], noteRevoked)
}

// NotByProvider is why a certificate that is blocked here is not revoked by its provider.
type NotByProvider struct{ Cause error }

// Error returns the text of the cause.
func (n *NotByProvider) Error() string { return n.Cause.Error() }

// Unwrap returns the cause.
func (n *NotByProvider) Unwrap() error { return n.Cause }

// withdraw blocks a certificate of an order before anything else, which needs no one but the
// store, and has the provider revoke it.
func (e *Enroller) withdraw(ctx context.Context, o *store.Order, c *x509.Certificate, note string) (byProvider bool, err error) {
	err = e.Store.SetMark(ctx, sha256.Sum256(c.Raw), store.Blocked, note, time.Time{})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // one that was removed is revoked all the same
		return false, err
	}
	en := e.named(o.Enrolment)
	if en == nil {
		return false, &NotByProvider{fmt.Errorf("the configuration has no [[enrolment]] %q any more", o.Enrolment)}
	}
	v, ok := en.Provider.(revoker)
	if !ok {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, en.timeout())
	defer cancel()
	if err := v.Revoke(ctx, c); err != nil {
		return false, &NotByProvider{err}
	}
	return true, nil
}

// clearFor is how long a cancelled order is kept for what its provider may still issue, or does
// not revoke.
const clearFor = 30 * 24 * time.Hour

// Cancel ends the orders of a bundle that are not done, and deletes their keys. What was
// issued for one of them is revoked: without its key, no one could read what is encrypted to
// it. One on which a provider that can revoke has not decided is cleared by Work, when it has; an
// attempt that is under way by its process, or by Work when its time is over.
// store.ErrNoOrder: there is no order that is not over.
func (e *Enroller) Cancel(ctx context.Context, bundle string) error {
	if err := e.Store.CancelOrders(ctx, bundle); err != nil {
		return err
	}
	cancelled, err := e.Store.Orders(ctx, store.OrderQuery{Bundle: bundle, States: []store.OrderState{store.OrderCancelled}, Due: e.Clock()})
	errs := []error{err}
	for i := range cancelled {
		if !e.recalls(&cancelled[i]) {
			errs = append(errs, e.clear(ctx, &cancelled[i]))
		}
	}
	return errors.Join(errs...)
}

// ClearRemoved clears cancelled orders of enrolments that the configuration has no more.
func (e *Enroller) ClearRemoved(ctx context.Context) error {
	due, err := e.Store.Orders(ctx, store.OrderQuery{States: []store.OrderState{store.OrderCancelled}, Due: e.Clock()})
	errs := []error{err}
	for i := range due {
		if ctx.Err() == nil && !e.Known(&due[i]) {
			errs = append(errs, e.clear(ctx, &due[i]))
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// clear revokes what was issued for a cancelled order that is due, and deletes its key. What fails
// is tried again, with growing delays, for clearFor.
func (e *Enroller) clear(ctx context.Context, o *store.Order) error {
	err := e.clearOne(ctx, o)
	if err != nil && e.Clock().Sub(o.ChangedAt) >= clearFor {
		e.Log.WarnContext(ctx, "cancelled order given up", "address", o.Address.String(), "enrolment", o.Enrolment, "order", short(o.Bundle), "error", err.Error())
		err = nil
	}
	if err == nil {
		return e.Store.ClearOrder(ctx, o.ID)
	}
	next := e.Clock().Add(delay(o.Attempts)).Truncate(time.Second)
	return errors.Join(err, e.Store.PostponeClearing(ctx, o.ID, next))
}

func (e *Enroller) clearOne(ctx context.Context, o *store.Order) error {
	opened, err := e.Store.Orders(ctx, store.OrderQuery{Prefix: o.ID, States: []store.OrderState{store.OrderCancelled}, Keys: true})
	switch {
	case err == nil && len(opened) == 0:
		return nil // it was cleared since
	case err == nil:
		o.Key = opened[0].Key
	}
	if err == nil && e.recalls(o) {
		if err := e.recall(ctx, e.named(o.Enrolment), o); err != nil {
			return err
		}
	}
	// What is known to be issued is revoked also where the key cannot be opened.
	if failed := e.disown(ctx, o); failed != nil {
		return failed
	}
	if errors.Is(err, store.ErrDamagedKey) {
		e.Log.WarnContext(ctx, "key of a cancelled order cannot be opened",
			"address", o.Address.String(), "enrolment", o.Enrolment, "order", short(o.Bundle))
		return nil
	}
	return err
}

// recalls reports whether the provider of a cancelled order is asked what came of it: if nothing is
// noted of its last attempt, and it can revoke. Of the built-in CA the records tell.
func (e *Enroller) recalls(o *store.Order) bool {
	en := e.named(o.Enrolment)
	if en == nil || !o.Undecided() {
		return false
	}
	_, revokes := en.Provider.(revoker)
	_, recorded := en.Provider.(judge)
	return revokes && !recorded
}

// recall learns what came of a cancelled order from its provider.
func (e *Enroller) recall(ctx context.Context, en *Enrolment, o *store.Order) error {
	claimed, err := e.Store.ClaimOrder(ctx, o, e.claimEnd(en, 0))
	if err != nil {
		return err
	}
	if !claimed {
		return errTaken
	}
	got, err := e.ask(ctx, en, o, false)
	if refused := new(Refusal); errors.As(err, &refused) {
		return nil // nothing was issued
	}
	if err != nil {
		return fmt.Errorf("order %s: was cancelled, but it is not known whether a certificate was issued: %w", short(o.ID), err)
	}
	i := ofKey(o, got.Certificates)
	if i < 0 {
		// It may still be issued: then it is revoked.
		return fmt.Errorf("order %s: was cancelled, and its provider has not decided on it yet", short(o.ID))
	}
	o.Certificates = got.Certificates[i : i+1]
	return nil
}

// disown revokes what was issued for an order that was cancelled.
func (e *Enroller) disown(ctx context.Context, o *store.Order) error {
	list := o.Certificates[:min(1, len(o.Certificates))]
	found, err := e.Store.Find(ctx, store.Query{Address: &o.Address, Origins: []store.Origin{store.Issued}})
	if err != nil {
		return err
	}
	for _, f := range found {
		if !f.HasKey && f.RevokedAt.IsZero() && (&certs.Identity{Certificate: f.Certificate, Key: o.Key}).Check() == nil {
			list = append(list, f.Certificate)
		}
	}
	var errs []error
	for _, c := range list {
		if _, err := e.withdraw(ctx, o, c, noteCancelled); err != nil {
			errs = append(errs, fmt.Errorf("order %s: was cancelled, but the certificate that was issued is not revoked: %w", short(o.ID), err))
		}
	}
	return errors.Join(errs...)
}

// Known reports whether the configuration still has the enrolment of an order.
func (e *Enroller) Known(o *store.Order) bool { return e.named(o.Enrolment) != nil }
