package enrol

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// handOver is how long an order belongs to the one who placed it; then anyone works on it.
const handOver = time.Minute

// Place orders certificates for an address as its enrolment says, without waiting for
// them. store.ErrOrderOpen: there is an order already.
func (e *Enroller) Place(ctx context.Context, a address.Address) ([]store.Order, error) {
	en, err := e.enrolmentOf(ctx, a)
	if err != nil {
		return nil, err
	}
	return e.place(ctx, en, a, nil, 0)
}

// place stores orders with their keys, but for those that a token makes later. Others work on them
// after a time. seen is as in store.OrderLimits.
func (e *Enroller) place(ctx context.Context, en *Enrolment, a address.Address, seen *int, after time.Duration) ([]store.Order, error) {
	if err := en.ready(ctx, a); err != nil {
		return nil, err
	}
	bundle := newID()
	var orders []store.Order
	for _, p := range en.purposes() {
		now := e.Clock()
		o := store.Order{ID: newID(), Bundle: bundle, Address: a, Enrolment: en.Name, Purpose: p, Token: en.token(),
			State: store.OrderReady, OrderedAt: now, NextAt: now.Add(after).Truncate(time.Second)}
		if en.Token == nil {
			var err error
			if o.Key, err = en.newKey(&o); err != nil {
				return nil, err
			}
		}
		orders = append(orders, o)
	}
	err := e.Store.PutOrders(ctx, store.OrderLimits{PerHour: en.PerHour, Seen: seen}, orders...)
	switch {
	case errors.Is(err, store.ErrTooManyOrders):
		return nil, fmt.Errorf("%w by [[enrolment]] %q; raise max_per_hour if that is intended", err, en.Name)
	case err != nil:
		return nil, err
	}
	e.Log.InfoContext(ctx, "certificate ordered", "address", a.String(), "enrolment", en.Name, "order", short(bundle))
	return orders, nil
}

// ready asks a provider that knows beforehand.
func (en *Enrolment) ready(ctx context.Context, a address.Address) error {
	if g, ok := en.Provider.(gate); ok {
		return g.Ready(ctx, a, len(en.purposes()))
	}
	return nil
}

// purposes are those of the keys of one address. The one for encryption is first, so that
// one that only signs never comes to be used alone.
func (en *Enrolment) purposes() []store.Purpose {
	if en.Separate || ca.TwoKeys(en.Key) {
		return []store.Purpose{store.ForEncryption, store.ForSigning}
	}
	return []store.Purpose{store.ForBoth}
}

// Use is what the built-in authority calls a purpose.
func Use(p store.Purpose) ca.Use {
	switch p {
	case store.ForSigning:
		return ca.OnlySign
	case store.ForEncryption:
		return ca.OnlyEncrypt
	}
	return ca.SignAndEncrypt
}

func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}
