package enrol

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

const (
	// issueTimeout is the longest attempt that a message waits for: an enrolment whose
	// provider may take longer is worked on without it.
	issueTimeout = time.Minute
	// issueTime bounds the whole: two attempts, and what others do.
	issueTime = 2*issueTimeout + 2*othersTime
	// othersTime is how long it waits for a certificate that another process orders,
	// who is asked every othersPoll.
	othersTime = 10 * time.Second
	othersPoll = 100 * time.Millisecond
)

// unfinished are the states of orders that stand in the way of another one.
var unfinished = []store.OrderState{store.OrderReady, store.OrderSent, store.OrderAnswered, store.OrderFailed}

// Issue returns an identity that signs for an address and is not Due: one that is
// there, or a new one. All who ask for one address at the same time get the same. An error
// that is certs.ErrOrdered means that one was ordered, and comes later.
func (e *Enroller) Issue(ctx context.Context, a address.Address) (*certs.Identity, error) {
	made, err, _ := e.flights.Do(a.Key(address.ExactCase), func() (any, error) {
		// The first to ask may hang up: the others still want it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issueTime)
		defer cancel()
		return e.issue(ctx, a)
	})
	id, _ := made.(*certs.Identity)
	return id, err
}

func (e *Enroller) issue(ctx context.Context, a address.Address) (*certs.Identity, error) {
	seen, err := e.Store.CountOrders(ctx, a)
	if err != nil {
		return nil, err
	}
	// One may have been issued since our caller looked, perhaps on another node.
	id, err := e.Keys.Signing(ctx, a)
	if err != nil || id != nil && !e.Due(ctx, id) {
		return id, err
	}
	orders, err := e.unfinished(ctx, a)
	if err != nil {
		return nil, err
	}
	if len(orders) > 0 {
		return e.join(ctx, a, orders)
	}
	wait, err := e.settled(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case wait != nil && id != nil:
		return id, nil // it signs on
	case wait != nil:
		return e.own(ctx, a) // which may be there since we looked
	}
	en, err := e.enrolmentOf(ctx, a)
	if err != nil {
		return nil, err
	}
	after := handOver
	if en.slow() {
		after = 0
	}
	orders, err = e.place(ctx, en, a, &seen, after)
	if errors.Is(err, store.ErrOrderOpen) { // of another process, since we looked
		if orders, err = e.unfinished(ctx, a); err == nil {
			return e.join(ctx, a, orders)
		}
	}
	if err != nil {
		return nil, err
	}
	if en.slow() {
		return nil, waiting(orders)
	}
	return e.follow(ctx, en, orders)
}

// slow reports whether one attempt may take longer than a message waits for.
func (en *Enrolment) slow() bool { return en.timeout() > issueTimeout || en.makesSlowly() }

func (e *Enroller) unfinished(ctx context.Context, a address.Address) ([]store.Order, error) {
	return e.withKeys(ctx, store.OrderQuery{Address: &a, States: unfinished})
}

// join goes on with orders that are there already: it waits for those that another process
// works on, and works itself on those that are due.
func (e *Enroller) join(ctx context.Context, a address.Address, orders []store.Order) (*certs.Identity, error) {
	orders, err := e.others(ctx, a, orders)
	switch {
	case err != nil:
		return nil, err
	case len(orders) == 0:
		return e.own(ctx, a)
	}
	for _, o := range orders {
		if o.State == store.OrderAnswered {
			continue // what is left to do is done once, by any process
		}
		if e.Clock().Before(o.NextAt) || e.elsewhere(&o) || o.State == store.OrderFailed {
			return nil, waiting(orders)
		}
	}
	en := e.named(orders[0].Enrolment)
	if en == nil || en.slow() {
		return nil, waiting(orders)
	}
	return e.follow(ctx, en, orders)
}

// others waits until no other process works on the orders of an address, for othersTime at
// most, and returns those that are unfinished then.
func (e *Enroller) others(ctx context.Context, a address.Address, orders []store.Order) ([]store.Order, error) {
	tick := time.NewTicker(othersPoll)
	defer tick.Stop()
	end := time.NewTimer(othersTime)
	defer end.Stop()
	for slices.ContainsFunc(orders, func(o store.Order) bool { return e.elsewhere(&o) }) {
		var err error
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return orders, nil
		case <-tick.C:
			if orders, err = e.unfinished(ctx, a); err != nil {
				return nil, err
			}
		}
	}
	return orders, nil
}

// elsewhere reports whether a process is at work on an order, or died over it.
func (e *Enroller) elsewhere(o *store.Order) bool {
	until := o.ClaimedUntil
	if o.State == store.OrderReady {
		until = o.NextAt
	}
	return e.Clock().Before(until)
}

// waiting says how orders stand.
func waiting(orders []store.Order) error {
	for _, o := range orders {
		switch {
		case o.State == store.OrderFailed:
			return fmt.Errorf("order %s failed: %s; when that is mended, run: smimerelay enrol retry %s", short(o.ID), o.Problem, o.Address)
		case o.Problem != "":
			return &notYet{fmt.Sprintf("ordered on %s (order %s); the last attempt failed: %s; the next is due at %s", date(o.OrderedAt), short(o.ID), o.Problem, date(o.NextAt))}
		}
	}
	o := orders[0]
	return &notYet{fmt.Sprintf("ordered on %s (order %s), not there yet; asked again at %s", date(o.OrderedAt), short(o.ID), date(o.NextAt))}
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// short is the part of an order's ID that people read.
func short(id string) string { return id[:min(len(id), 8)] }

// follow works on the orders of one bundle, and returns the identity that signs.
func (e *Enroller) follow(ctx context.Context, en *Enrolment, orders []store.Order) (*certs.Identity, error) {
	for i := range orders {
		if err := e.advance(ctx, en, &orders[i]); err != nil {
			return nil, err
		}
	}
	for _, o := range orders {
		if o.State != store.OrderAnswered {
			return nil, waiting(orders)
		}
	}
	if err := e.finish(ctx, en, orders); err != nil {
		return nil, err
	}
	return e.own(ctx, orders[0].Address)
}

// Due reports whether an identity should be replaced by another one.
func (e *Enroller) Due(ctx context.Context, id *certs.Identity) bool {
	c := id.Certificate
	for i := range e.Enrolments {
		en := &e.Enrolments[i]
		if j, ok := en.Provider.(judge); ok {
			if j.Due(c, en.RenewBefore) {
				return true
			}
			continue
		}
		// Half of its life is the least: a short one would be due at once.
		before := min(en.RenewBefore, c.NotAfter.Sub(c.NotBefore)/2)
		if e.Clock().Add(before).After(c.NotAfter) && e.covers(ctx, en, certs.Addresses(c)) {
			return true
		}
	}
	return false
}

// Ready says why nothing can be ordered for an address now, or how its order stands.
func (e *Enroller) Ready(ctx context.Context, a address.Address) error {
	orders, err := e.Store.Orders(ctx, store.OrderQuery{Address: &a, States: unfinished})
	if err != nil {
		return err
	}
	if len(orders) > 0 {
		return waiting(orders)
	}
	id, err := e.Keys.Signing(ctx, a)
	if err != nil {
		return err
	}
	if id == nil {
		wait, err := e.settled(ctx, a)
		if err != nil {
			return err
		}
		if wait != nil {
			return wait
		}
	}
	en, err := e.enrolmentOf(ctx, a)
	if err != nil {
		return err
	}
	return en.ready(ctx, a)
}
