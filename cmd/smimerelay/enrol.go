package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type enrolCmd struct {
	List    enrolListCmd    `cmd:"" help:"List the orders of certificates."`
	Show    enrolShowCmd    `cmd:"" help:"Show the details of orders."`
	Request enrolRequestCmd `cmd:"" help:"Order certificates for addresses now."`
	Retry   enrolRetryCmd   `cmd:"" help:"Try orders again that failed or wait."`
	Invite  enrolInviteCmd  `cmd:"" help:"Make a secret with which a client gets a certificate by EST."`
	Revoke  enrolRevokeCmd  `cmd:"" help:"Cancel an order, or revoke the certificate that came of it."`
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
		q := store.OrderQuery{Prefix: text}
		if addr, err := address.Parse(text); err == nil {
			q = store.OrderQuery{Address: &addr}
		}
		found, err := e.store.Orders(ctx, q)
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
		if len(list) == n && len(found) > 0 {
			return nil, negative(fmt.Errorf("%s: its orders are over; see smimerelay enrol list --all", text))
		}
		if len(found) == 0 {
			return nil, negative(fmt.Errorf("%s: no such order; name an address, or the start of an order's number", text))
		}
	}
	return list, nil
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
