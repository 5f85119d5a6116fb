package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

type enrolRequestCmd struct {
	enrolFlags
	Address []string `arg:"" name:"address" help:"Addresses in the local domains."`
}

// Help is shown below the summary.
func (enrolRequestCmd) Help() string {
	return `Orders a certificate for each address from the first [[enrolment]] table that applies to it, even if the address has a certificate. The running gateway sends the request.`
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
	What []string `arg:"" name:"order" help:"The first digits of an order's number, or an address for all of its orders. With separate_keys, both orders of a pair are meant."`
}

// Help is shown below the summary.
func (enrolRetryCmd) Help() string {
	return `The running gateway retries the orders within seconds, including those that failed, with the same key. If the CA already issued a certificate for an earlier request, that certificate is used.`
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
	What []string `arg:"" name:"order" help:"The first digits of an order's number, or an address for all of its orders. With separate_keys, both orders of a pair are meant."`
}

// Help is shown below the summary.
func (enrolRevokeCmd) Help() string {
	return `Cancels unfinished orders and deletes their keys; a certificate that is issued nevertheless is revoked and not used. If an order is done, its certificate is first blocked by the gateway, so that it no longer signs while its key still decrypts, and then revoked by the provider, if the provider supports that. For other certificates of the built-in CA, and to give a reason, use cert revoke.`
}

func (enrolRevokeCmd) examples() string { return `smimerelay enrol revoke alice@example.com` }

// Run cancels and revokes. What fails does not keep the rest from being revoked.
func (c *enrolRevokeCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		orders, err := e.pick(ctx, c.What, true)
		if err != nil {
			return err
		}
		var errs []error
		cancelled := map[string]bool{}
		for _, bundle := range bundles(open(orders)) {
			err := e.Cancel(ctx, bundle)
			cancelled[bundle] = err == nil
			errs = append(errs, err)
		}
		p := a.page()
		for i := range orders {
			o := &orders[i]
			switch {
			case o.State == store.OrderCancelled:
			case o.State == store.OrderDone:
				errs = append(errs, e.revoke(ctx, p, o))
			case cancelled[o.Bundle]:
				p.line("%s  order for %s cancelled", o.ID[:8], o.Address)
			}
		}
		return errors.Join(append(errs, p.err)...)
	})
}

// revoke revokes the certificate of an order that is done, and says by whom.
func (e *enrolment) revoke(ctx context.Context, p *page, o *store.Order) error {
	byProvider, err := e.Revoke(ctx, o)
	blocked := new(enrol.NotByProvider)
	switch {
	case errors.As(err, &blocked):
		p.line("%s  certificate of %s blocked here", o.ID[:8], o.Address)
		return negative(fmt.Errorf("%s: not revoked by %s: %w; run the command again, or ask the CA", o.ID[:8], o.Enrolment, err))
	case err != nil:
		return negative(fmt.Errorf("%s: neither blocked nor revoked: %w", o.ID[:8], err))
	}
	p.line("%s  certificate of %s revoked", o.ID[:8], o.Address)
	p.lineIf(!byProvider, "          its provider cannot revoke: ask the CA; it is blocked here")
	return nil
}
