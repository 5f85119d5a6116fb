package enrol

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/printable"
)

// Bounds of when a provider is asked again, whatever it says itself.
const (
	askSoonest = 10 * time.Second
	askLatest  = 24 * time.Hour
	// defaultTimeout bounds one call of a provider.
	defaultTimeout = 30 * time.Second
	// maxProblem bounds what is kept of an error, in octets.
	maxProblem = 500
	// troubled is the attempt whose failure is reported to administrators; what is mended
	// sooner is only logged.
	troubled = 3
)

// delays are those before the next attempt, by how many have failed; the last repeats.
var delays = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

func delay(attempts int) time.Duration { return delays[min(attempts, len(delays)-1)] }

// Troubled reports whether an administrator should look at an order.
func Troubled(o *store.Order) bool {
	return o.State == store.OrderFailed || o.State == store.OrderSent && o.Problem != "" && o.Attempts >= troubled
}

// errTaken means that another process works on an order.
var errTaken = &notYet{"another process works on the order"}

// advance makes one attempt on an order and stores what became of it.
func (e *Enroller) advance(ctx context.Context, en *Enrolment, o *store.Order) error {
	if o.State == store.OrderAnswered {
		return nil
	}
	first := o.State == store.OrderReady
	claimed, err := e.Store.ClaimOrder(ctx, o, e.Clock().Add(delay(o.Attempts)).Truncate(time.Second))
	if err != nil {
		return err
	}
	if !claimed {
		return errTaken
	}
	got, err := e.ask(ctx, en, o, first)
	if err == nil && len(got.Certificates) > 0 {
		if o.Certificates, err = answer(o, got.Certificates, e.Clock()); err != nil {
			err = &Refusal{err}
		}
	}
	if err != nil {
		return e.failed(ctx, o, err)
	}
	o.Problem, o.Attempts, o.State = "", 0, store.OrderAnswered
	if got.Reference != nil {
		o.Reference = got.Reference
	}
	if len(got.Certificates) == 0 {
		o.State = store.OrderSent
		o.NextAt = e.Clock().Add(min(max(got.After, askSoonest), askLatest)).Truncate(time.Second)
	}
	return e.Store.NoteOrder(ctx, o)
}

func (e *Enroller) ask(ctx context.Context, en *Enrolment, o *store.Order, first bool) (Answer, error) {
	timeout := en.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	order := Order{Order: *o}
	var err error
	if order.Current, err = e.Keys.Signing(ctx, o.Address); err != nil {
		return Answer{}, err
	}
	if first {
		return en.Provider.Begin(ctx, &order)
	}
	return en.Provider.Continue(ctx, &order)
}

// failed stores why an attempt failed, and returns it.
func (e *Enroller) failed(ctx context.Context, o *store.Order, why error) error {
	o.Problem = printable.Clip(why.Error(), maxProblem)
	o.Certificates = nil
	refused := new(Refusal)
	if errors.As(why, &refused) {
		o.State = store.OrderFailed
	}
	// What is known is kept also where the message that asked is gone.
	ctx = context.WithoutCancel(ctx)
	if err := e.Store.NoteOrder(ctx, o); err != nil {
		return errors.Join(why, err)
	}
	e.Log.WarnContext(ctx, "certificate order failed", "address", o.Address.String(), "enrolment", o.Enrolment, "order", short(o.Bundle),
		"error", o.Problem, "attempt", o.Attempts, "final", o.State == store.OrderFailed)
	return why
}

// finish puts the identities of a bundle into the store, and returns the one that signs.
func (e *Enroller) finish(ctx context.Context, en *Enrolment, orders []store.Order) (*certs.Identity, error) {
	ids, err := identities(orders)
	if err != nil {
		return nil, err
	}
	err = e.Store.FinishOrders(ctx, orders[0].Bundle, en.Origin, ids...)
	if errors.Is(err, store.ErrNoOrder) { // another process was faster, or they were cancelled
		return e.Keys.Signing(ctx, orders[0].Address)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: cannot be kept: %w", orders[0].Address, err)
	}
	e.Log.InfoContext(ctx, "identity issued", "address", orders[0].Address.String(), "enrolment", en.Name,
		"not_after", ids[0].Certificate.NotAfter.UTC().Format(time.RFC3339))
	return ids[0], nil
}

// identities are those of answered orders, the one that signs first.
func identities(orders []store.Order) ([]*certs.Identity, error) {
	var ids []*certs.Identity
	for i := range orders {
		o := &orders[i]
		key, ok := o.Key.(interface{ Public() crypto.PublicKey })
		if !ok || len(o.Certificates) == 0 {
			return nil, fmt.Errorf("order %s: has no key or no certificate", short(o.ID))
		}
		id := &certs.Identity{Certificate: o.Certificates[0], Chain: slices.Clone(o.Certificates[1:]), Key: key}
		if o.Purpose == store.ForSigning {
			ids = slices.Insert(ids, 0, id)
		} else {
			ids = append(ids, id)
		}
	}
	if len(ids) > 1 {
		// It travels with every signature, so that each recipient can encrypt.
		ids[0].Chain = append(ids[0].Chain, others(ids[1:])...)
	}
	return ids, nil
}

func others(ids []*certs.Identity) []*x509.Certificate {
	var list []*x509.Certificate
	for _, id := range ids {
		list = append(list, id.Certificate)
	}
	return list
}
