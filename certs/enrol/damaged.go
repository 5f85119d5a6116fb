package enrol

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/store"
)

// withKeys returns the orders that q asks for, with their keys. Orders of which a key does not
// open fail: no further attempt would mend that, and an administrator hears of it once. They are
// returned without keys.
func (e *Enroller) withKeys(ctx context.Context, q store.OrderQuery) ([]store.Order, error) {
	q.Keys = true
	orders, err := e.Store.Orders(ctx, q)
	if !errors.Is(err, store.ErrDamagedKey) {
		return orders, err
	}
	q.Keys = false
	if orders, err = e.Store.Orders(ctx, q); err != nil {
		return nil, err
	}
	for i := range orders {
		if err := e.failDamaged(ctx, &orders[i]); err != nil {
			return nil, err
		}
	}
	return e.Store.Orders(ctx, q)
}

// failDamaged ends the work on the bundle of an order whose key does not open.
func (e *Enroller) failDamaged(ctx context.Context, o *store.Order) error {
	_, err := e.Store.Orders(ctx, store.OrderQuery{Prefix: o.ID, Keys: true})
	if !errors.Is(err, store.ErrDamagedKey) {
		return err
	}
	problem := fmt.Sprintf("%v; restore the store from a backup, or run: smimerelay enrol revoke %s, after which another is ordered", store.ErrDamagedKey, short(o.ID))
	err = e.Store.FailOrders(context.WithoutCancel(ctx), o.Bundle, problem)
	if errors.Is(err, store.ErrNoOrder) {
		return nil // it has failed already, or another process saw it
	}
	if err == nil {
		e.Log.WarnContext(ctx, "certificate order failed", "address", o.Address.String(), "enrolment", o.Enrolment, "order", short(o.Bundle),
			"error", problem, "attempt", o.Attempts, "final", true)
	}
	return err
}
