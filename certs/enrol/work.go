package enrol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

const (
	// atOnce is how many orders of an enrolment one call of Work looks at.
	atOnce = 200
	// roundTime is how long one call of Work begins attempts.
	roundTime = time.Minute
)

// Work makes the attempts that are due for the enrolment of a name, and orders what is to be
// ordered without mail; there may be no such enrolment. What fails for one address does not stop
// the others: the error joins what the store and the providers said; of failed attempts the log
// tells.
func (e *Enroller) Work(ctx context.Context, name string) error {
	en := e.named(name)
	if en == nil {
		return nil
	}
	end := e.Clock().Add(roundTime)
	due, err := e.Store.Orders(ctx, store.OrderQuery{Enrolment: en.Name, Due: e.Clock(), Limit: atOnce})
	errs := []error{err}
	done := map[string]bool{}
	for _, o := range due {
		if ctx.Err() != nil || e.Clock().After(end) {
			break
		}
		if o.State == store.OrderCancelled {
			errs = append(errs, e.clear(ctx, &o))
			continue
		}
		if !done[o.Bundle] {
			done[o.Bundle] = true
			errs = append(errs, e.resume(ctx, en, o.Bundle))
		}
	}
	for _, a := range en.Always {
		if ctx.Err() != nil || e.Clock().After(end) {
			break
		}
		err := e.ensure(ctx, en, a)
		if errors.Is(err, store.ErrTooManyOrders) {
			break // for the others too, and later
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// resume goes on with the orders of a bundle that are due.
func (e *Enroller) resume(ctx context.Context, en *Enrolment, bundle string) error {
	orders, err := e.withKeys(ctx, store.OrderQuery{Bundle: bundle})
	if err != nil {
		return err
	}
	answered := 0
	for i := range orders {
		o := &orders[i]
		if o.State.Over() || o.State == store.OrderFailed {
			return nil // since we looked
		}
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
	return e.finish(ctx, en, orders)
}

// ensure orders for one who is to have a certificate without sending mail first.
func (e *Enroller) ensure(ctx context.Context, en *Enrolment, a address.Address) error {
	seen, err := e.Store.CountOrders(ctx, a)
	if err != nil {
		return err
	}
	id, err := e.Keys.Signing(ctx, a)
	if err != nil || id != nil && !e.Due(ctx, id) {
		return err
	}
	orders, err := e.Store.Orders(ctx, store.OrderQuery{Address: &a, States: unfinished, Limit: 1})
	if err != nil || len(orders) > 0 {
		return err
	}
	if wait, err := e.settled(ctx, a); err != nil || wait != nil {
		return err
	}
	orders, err = e.place(ctx, en, a, &seen, handOver)
	if errors.Is(err, store.ErrOrderOpen) {
		return nil // by another process
	}
	if err != nil {
		return err
	}
	if _, err = e.follow(ctx, en, orders); err != nil {
		e.Log.DebugContext(ctx, "certificate not there yet", "address", a.String(), "error", err)
	}
	return nil
}
