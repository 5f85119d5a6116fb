package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type enrolCmd struct {
	List    enrolListCmd    `cmd:"" help:"List certificate orders."`
	Show    enrolShowCmd    `cmd:"" help:"Show certificate orders in detail."`
	Request enrolRequestCmd `cmd:"" help:"Order certificates for addresses."`
	Retry   enrolRetryCmd   `cmd:"" help:"Retry orders that failed or are waiting."`
	Invite  enrolInviteCmd  `cmd:"" help:"Create a one-time secret for a client that enrols by EST or SCEP."`
	Revoke  enrolRevokeCmd  `cmd:"" help:"Cancel an order, or revoke the certificate that was issued for it."`
}

// enrolFlags say which configuration.
type enrolFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, with [[enrolment]] or [ca], and [store]."`
}

// enrolment is what the verbs work with.
type enrolment struct {
	*enrol.Enroller
	store *store.Store
}

var errNoEnrolments = errors.New("the configuration orders no certificates: it has neither [[enrolment]] nor [ca]")

// with opens the store and the enrolments, and does something with them.
func (f *enrolFlags) with(a *app, do func(context.Context, *enrolment) error) error {
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return problems
	}
	if _, err := os.Stat(config.Place(c.Store.URL)); errors.Is(err, fs.ErrNotExist) && !c.Store.Shared() {
		return negative(fmt.Errorf("store %q: does not exist; start the gateway first", c.Store.URL))
	}
	parts, problems := service.Load(f.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	if parts.Enroller() == nil {
		return errors.Join(negative(errNoEnrolments), parts.Close())
	}
	return errors.Join(do(background(), &enrolment{parts.Enroller(), parts.Store()}), parts.Close())
}

// pick returns the orders that the arguments name, by address or by the start of an ID,
// each bundle as a whole. Those that are over are passed over unless all is set.
func (e *enrolment) pick(ctx context.Context, what []string, all bool) ([]store.Order, error) {
	var list []store.Order
	for _, text := range what {
		found, err := e.find(ctx, text)
		if err != nil {
			return nil, err
		}
		n := len(list)
		for _, o := range found {
			known := func(other store.Order) bool { return other.ID == o.ID }
			if (all || !o.State.Over()) && !slices.ContainsFunc(list, known) {
				list = append(list, o)
			}
		}
		if len(list) == n && len(found) > 0 && !all {
			return nil, negative(fmt.Errorf("%s: its orders are over; see smimerelay enrol list --all", text))
		}
		if len(found) == 0 {
			return nil, negative(fmt.Errorf("%s: no such order; name an address, or the start of an order's number", text))
		}
	}
	return list, nil
}

// find returns the orders of an address, or those of the bundle of the one order whose ID
// begins with what the user wrote.
func (e *enrolment) find(ctx context.Context, text string) ([]store.Order, error) {
	if addr, err := address.Parse(text); err == nil && !addr.IsNull() {
		return e.store.Orders(ctx, store.OrderQuery{Address: &addr})
	}
	if text == "" || strings.Trim(strings.ToLower(text), "0123456789abcdef") != "" {
		return nil, unusable(fmt.Errorf("%q is neither an address nor the start of an order's number; use the digits that smimerelay enrol list prints", text))
	}
	found, err := e.store.Orders(ctx, store.OrderQuery{Prefix: text, Limit: 2})
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, unusable(fmt.Errorf("%s matches several orders, such as %s and %s; use more digits", text, found[0].ID, found[1].ID))
	}
	return e.store.Orders(ctx, store.OrderQuery{Bundle: found[0].Bundle})
}

// bundles are those of orders, each once.
func bundles(orders []store.Order) []string {
	var list []string
	for _, o := range orders {
		if !slices.Contains(list, o.Bundle) {
			list = append(list, o.Bundle)
		}
	}
	return list
}
