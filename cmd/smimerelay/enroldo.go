package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

type enrolRequestCmd struct {
	enrolFlags
	Address []string `arg:"" name:"address" help:"Addresses in the local domains."`
}

// Help is shown below the summary.
func (enrolRequestCmd) Help() string {
	return `Orders a certificate for each address from the first [[enrolment]] that is for it, although the address has one already. The running gateway sends the request.`
}

func (enrolRequestCmd) examples() string { return `smimerelay enrol request alice@example.com` }

// Run orders.
func (c *enrolRequestCmd) Run(a *app) error {
	var list []address.Address
	for _, text := range c.Address {
		addr, err := address.Parse(text)
		if err != nil {
			return unusable(fmt.Errorf("%w; write local@domain", err))
		}
		list = append(list, addr)
	}
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		for _, addr := range list {
			orders, err := e.Place(ctx, addr)
			if errors.Is(err, store.ErrOrderOpen) {
				return negative(fmt.Errorf("%s: %w; see smimerelay enrol show %s", addr, err, addr))
			}
			if err != nil {
				return negative(fmt.Errorf("%s: %w", addr, err))
			}
			a.page().line("%s  ordered for %s from %s", orders[0].ID[:8], addr, orders[0].Enrolment)
		}
		return nil
	})
}

type enrolRetryCmd struct {
	enrolFlags
	What []string `arg:"" name:"order" help:"An order, by the start of its number, or an address, for all of its orders."`
}

// Help is shown below the summary.
func (enrolRetryCmd) Help() string {
	return `Makes orders due now, those that failed included. The running gateway takes them up within seconds, with the same key: where an earlier request arrived, its certificate is used.`
}

func (enrolRetryCmd) examples() string { return `smimerelay enrol retry alice@example.com` }

// Run makes orders due.
func (c *enrolRetryCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		orders, err := e.pick(ctx, c.What, false)
		if err != nil {
			return err
		}
		for _, bundle := range bundles(orders) {
			if err := e.store.RetryOrders(ctx, bundle); err != nil {
				return err
			}
		}
		for _, o := range orders {
			a.page().line("%s  %s is tried again", o.ID[:8], o.Address)
		}
		return nil
	})
}

type enrolRevokeCmd struct {
	enrolFlags
	What []string `arg:"" name:"order" help:"An order, by the start of its number, or an address, for all of its orders."`
}

// Help is shown below the summary.
func (enrolRevokeCmd) Help() string {
	return `Cancels orders that are under way and deletes their keys: a certificate that is issued all the same is not used. A certificate that came of an order is revoked by the provider, if it can do that, and blocked here: it no longer signs, but its key still decrypts. Other certificates that the built-in CA issued are revoked by cert revoke, which also takes a reason.`
}

func (enrolRevokeCmd) examples() string { return `smimerelay enrol revoke alice@example.com` }

// Run cancels and revokes.
func (c *enrolRevokeCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		orders, err := e.pick(ctx, c.What, true)
		if err != nil {
			return err
		}
		p := a.page()
		for _, bundle := range bundles(open(orders)) {
			if err := e.store.CancelOrders(ctx, bundle); err != nil {
				return err
			}
		}
		for i := range orders {
			o := &orders[i]
			switch {
			case o.State == store.OrderCancelled:
			case !o.State.Over():
				p.line("%s  order for %s cancelled", o.ID[:8], o.Address)
			default:
				byProvider, err := e.Revoke(ctx, o)
				if err != nil {
					return negative(err)
				}
				p.line("%s  certificate of %s revoked", o.ID[:8], o.Address)
				p.lineIf(!byProvider, "          its provider cannot revoke: ask the CA; it is blocked here")
			}
		}
		return p.err
	})
}
