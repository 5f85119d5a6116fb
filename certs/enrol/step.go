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

// claimMargin is how much longer than the provider may take an attempt belongs to a process.
const claimMargin = 30 * time.Second

// advance makes one attempt on an order and stores what became of it.
func (e *Enroller) advance(ctx context.Context, en *Enrolment, o *store.Order) error {
	if o.State == store.OrderAnswered {
		return nil
	}
	// Without a key nothing was sent, also where an attempt was begun.
	first := o.State == store.OrderReady || o.Key == nil
	if err := e.claim(ctx, en, o); err != nil {
		return err
	}
	if err := e.makeKey(ctx, en, o); errors.Is(err, errTaken) {
		return err
	} else if err != nil {
		return e.failed(ctx, o, err)
	}
	got, err := e.ask(ctx, en, o, first)
	if got.Reference != nil {
		o.Reference = got.Reference
	}
	if got.Key != nil {
		o.Key = got.Key
	}
	if err == nil && len(got.Certificates) > 0 {
		if o.Certificates, err = e.answer(o, got.Certificates); err != nil {
			err = &Refusal{err}
		}
	}
	if err != nil {
		return e.failed(ctx, o, err)
	}
	o.Problem, o.Attempts, o.State = "", 0, store.OrderAnswered
	if len(got.Certificates) == 0 {
		o.State = store.OrderSent
		o.NextAt = e.Clock().Add(min(max(got.After, askSoonest), askLatest)).Truncate(time.Second)
	}
	return e.note(ctx, o)
}

// claim takes an order for one attempt; errTaken: another process has it.
func (e *Enroller) claim(ctx context.Context, en *Enrolment, o *store.Order) error {
	var making time.Duration
	if o.Key == nil && en.Token != nil {
		making = tokenTime // until the key is there
	}
	claimed, err := e.Store.ClaimOrder(ctx, o, e.claimEnd(en, making))
	if err == nil && !claimed {
		err = errTaken
	}
	return err
}

// claimEnd is when an attempt that begins now is over, whatever becomes of its process.
func (e *Enroller) claimEnd(en *Enrolment, making time.Duration) time.Time {
	return e.Clock().Add(en.timeout() + claimMargin + making).Truncate(time.Second)
}

// note stores what became of an attempt, also where the message that asked is gone: a
// certificate that came must not be lost. One that comes for an order that was cancelled
// meanwhile is revoked.
func (e *Enroller) note(ctx context.Context, o *store.Order) error {
	ctx = context.WithoutCancel(ctx)
	err := e.Store.NoteOrder(ctx, o)
	if !errors.Is(err, store.ErrNoOrder) {
		return err
	}
	now, found := e.Store.Orders(ctx, store.OrderQuery{Bundle: o.Bundle, States: []store.OrderState{store.OrderCancelled}})
	switch {
	case found != nil:
		return found
	}
	i := slices.IndexFunc(now, func(other store.Order) bool { return other.ID == o.ID })
	switch {
	case i < 0:
		return errTaken // its claim was over
	case o.State == store.OrderSent && e.recalls(&now[i]):
		return err // Work clears it when the provider has decided
	}
	// Where it fails, Work clears it when the time of this attempt is over.
	if failed := e.disown(ctx, o); failed != nil {
		return errors.Join(err, failed)
	}
	return errors.Join(err, e.Store.ClearOrder(ctx, o.ID))
}

// timeout bounds one call of the provider.
func (en *Enrolment) timeout() time.Duration {
	if en.Timeout <= 0 {
		return defaultTimeout
	}
	return en.Timeout
}

func (e *Enroller) ask(ctx context.Context, en *Enrolment, o *store.Order, first bool) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, en.timeout())
	defer cancel()
	usable, err := e.usable(o)
	if err != nil {
		return Answer{}, err
	}
	order := Order{Order: usable}
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
	o.Certificates = nil
	_, refused := errors.AsType[*Refusal](why)
	if ctx.Err() != nil && !refused {
		return e.brokenOff(ctx, o, why)
	}
	o.Problem = printable.Clip(why.Error(), maxProblem)
	o.NextAt = e.Clock().Add(delay(o.Attempts - 1)).Truncate(time.Second)
	if refused {
		o.State = store.OrderFailed
	}
	if err := e.note(ctx, o); err != nil {
		return errors.Join(why, err)
	}
	e.Log.WarnContext(ctx, "certificate order failed", "address", o.Address.String(), "enrolment", o.Enrolment, "order", short(o.Bundle),
		"error", o.Problem, "attempt", o.Attempts, "final", o.State == store.OrderFailed)
	return why
}

// brokenOff gives an order back whose attempt ended because the message that asked is gone, or the
// process ends: that is no fault of the provider, and the next attempt need not wait.
func (e *Enroller) brokenOff(ctx context.Context, o *store.Order, why error) error {
	o.Attempts--
	o.NextAt = e.Clock().Truncate(time.Second)
	return errors.Join(why, e.note(ctx, o))
}

// finish puts the identities of a bundle into the store. That another process was faster, or
// that they were cancelled, is no error.
func (e *Enroller) finish(ctx context.Context, en *Enrolment, orders []store.Order) error {
	ids, err := identities(orders)
	if err != nil {
		return err
	}
	err = e.Store.FinishOrders(context.WithoutCancel(ctx), orders[0].Bundle, en.Origin, ids...)
	if errors.Is(err, store.ErrNoOrder) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("certificate for %q: cannot be kept: %w", orders[0].Address, err)
	}
	e.Log.InfoContext(ctx, "identity issued", "address", orders[0].Address.String(), "enrolment", en.Name,
		"not_after", ids[0].Certificate.NotAfter.UTC().Format(time.RFC3339))
	return nil
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
