package enrol

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// atOnce is how many orders one call of Work looks at.
const atOnce = 200

// Work makes the attempts that are due, and orders what is to be ordered without mail. The
// error joins what the store said; of failed attempts the log tells.
func (e *Enroller) Work(ctx context.Context) error {
	due, err := e.Store.Orders(ctx, store.OrderQuery{Due: e.Clock(), Limit: atOnce})
	if err != nil {
		return err
	}
	done := map[string]bool{}
	var errs []error
	for _, o := range due {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !done[o.Bundle] {
			done[o.Bundle] = true
			errs = append(errs, e.resume(ctx, o.Bundle))
		}
	}
	for i := range e.Enrolments {
		errs = append(errs, e.always(ctx, &e.Enrolments[i]))
	}
	return errors.Join(errs...)
}

// resume goes on with the orders of a bundle that are due.
func (e *Enroller) resume(ctx context.Context, bundle string) error {
	orders, err := e.Store.Orders(ctx, store.OrderQuery{Bundle: bundle, Keys: true})
	if err != nil {
		return err
	}
	en := e.named(orders[0].Enrolment)
	if en == nil {
		return nil // enrol list says so
	}
	answered := 0
	for i := range orders {
		o := &orders[i]
		if o.State != store.OrderAnswered && !o.NextAt.After(e.Clock()) {
			if e.advance(ctx, en, o) != nil {
				return nil // it is with the order, and in the log
			}
		}
		if o.State == store.OrderAnswered {
			answered++
		}
	}
	if answered < len(orders) {
		return nil
	}
	_, err = e.finish(ctx, en, orders)
	return err
}

// always orders for those who are to have a certificate without sending mail first.
func (e *Enroller) always(ctx context.Context, en *Enrolment) error {
	for _, a := range en.Always {
		if err := e.ensure(ctx, en, a); err != nil {
			return err
		}
	}
	return nil
}

func (e *Enroller) ensure(ctx context.Context, en *Enrolment, a address.Address) error {
	id, err := e.Keys.Signing(ctx, a)
	if err != nil || id != nil && !e.Due(ctx, id) {
		return err
	}
	orders, err := e.Store.Orders(ctx, store.OrderQuery{Address: &a, States: unfinished, Limit: 1})
	if err != nil || len(orders) > 0 {
		return err
	}
	orders, err = e.place(ctx, en, a)
	switch {
	case errors.Is(err, store.ErrTooManyOrders), errors.Is(err, store.ErrOrderOpen):
		return nil // later, or by another process
	case err != nil:
		return err
	}
	_, err = e.follow(ctx, en, orders)
	if err != nil {
		e.Log.DebugContext(ctx, "certificate not there yet", "address", a.String(), "error", err)
	}
	return nil
}
