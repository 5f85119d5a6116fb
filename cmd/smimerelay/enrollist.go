package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
)

type enrolListCmd struct {
	enrolFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
	All  bool `help:"Also list orders that are done or cancelled."`
}

// Help is shown below the summary.
func (enrolListCmd) Help() string {
	return `States of an order: ready (nothing was sent yet), sent (waiting for the certificate), answered (certificate received, not stored yet), done, failed (not retried until enrol retry), cancelled.`
}

func (enrolListCmd) examples() string {
	return `smimerelay enrol list
		smimerelay enrol list --all --json`
}

// shownOrder is what --json prints of an order.
type shownOrder struct {
	Order       string           `json:"order"`
	Address     string           `json:"address"`
	Enrolment   string           `json:"enrolment"`
	Purpose     store.Purpose    `json:"purpose"`
	State       store.OrderState `json:"state"`
	OrderedAt   time.Time        `json:"ordered_at"`
	ChangedAt   time.Time        `json:"changed_at"`
	NextAt      *time.Time       `json:"next_at,omitempty"`
	Attempts    int              `json:"attempts"`
	Token       string           `json:"token,omitempty"`
	Problem     string           `json:"problem,omitempty"`
	Reference   string           `json:"reference,omitempty"`
	Certificate string           `json:"certificate_sha256,omitempty"`
	NotAfter    *time.Time       `json:"not_after,omitempty"`
}

// Run lists the orders.
func (c *enrolListCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		orders, err := e.store.Orders(ctx, store.OrderQuery{})
		if err != nil {
			return err
		}
		if !c.All {
			orders = open(orders)
		}
		if c.JSON {
			return a.printJSON(shownOrders(orders))
		}
		p := a.page()
		for i := range orders {
			p.order(e, &orders[i])
		}
		p.line("%d orders", len(orders))
		return p.err
	})
}

func open(orders []store.Order) []store.Order {
	var list []store.Order
	for _, o := range orders {
		if !o.State.Over() {
			list = append(list, o)
		}
	}
	return list
}

// order writes a line for an order, and one for what is wrong with it.
func (p *page) order(e *enrolment, o *store.Order) {
	from := o.Enrolment
	if o.Token != "" {
		from += fmt.Sprintf(", key in the token %q", o.Token)
	}
	p.line("%s  %-9s  %s  %s  from %s", o.ID[:8], o.State, o.OrderedAt.Format(time.RFC3339), o.Address, from)
	p.lineIf(o.Problem != "", "          "+o.Problem)
	p.lineIf(!o.State.Over() && !e.Known(o), "          the configuration has no [[enrolment]] of this name any more: the order rests")
}

func shownOrders(orders []store.Order) []shownOrder {
	list := []shownOrder{}
	for _, o := range orders {
		s := shownOrder{
			Order: o.ID, Address: o.Address.String(), Enrolment: o.Enrolment, Purpose: o.Purpose, State: o.State,
			OrderedAt: o.OrderedAt, ChangedAt: o.ChangedAt, Attempts: o.Attempts, Token: o.Token, Problem: o.Problem, Reference: string(o.Reference),
		}
		if !o.State.Over() && o.State != store.OrderFailed {
			s.NextAt = &o.NextAt
		}
		if len(o.Certificates) > 0 {
			cert := o.Certificates[0]
			s.Certificate = fmt.Sprintf("%x", sha256.Sum256(cert.Raw))
			end := cert.NotAfter.UTC()
			s.NotAfter = &end
		}
		list = append(list, s)
	}
	return list
}

type enrolShowCmd struct {
	enrolFlags
	JSON bool     `name:"json" help:"Print the orders as JSON."`
	What []string `arg:"" name:"order" help:"The first digits of an order's number, or an address for all of its orders. With separate_keys, both orders of a pair are meant."`
}

func (enrolShowCmd) examples() string {
	return `smimerelay enrol show alice@example.com
		smimerelay enrol show --json 5d41402a`
}

// Run shows orders.
func (c *enrolShowCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, e *enrolment) error {
		orders, err := e.pick(ctx, c.What, true)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(shownOrders(orders))
		}
		p := a.page()
		for i, s := range shownOrders(orders) {
			p.lineIf(i > 0, "")
			p.shown(&s)
		}
		return p.err
	})
}

func (p *page) shown(s *shownOrder) {
	p.line("order        %s", s.Order)
	p.line("address      %s", s.Address)
	p.line("enrolment    %s", s.Enrolment)
	p.line("purpose      %s", s.Purpose)
	p.lineIf(s.Token != "", fmt.Sprintf("key          in the token %q", s.Token))
	p.line("state        %s", s.State)
	p.line("ordered      %s", s.OrderedAt.Format(time.RFC3339))
	p.line("changed      %s", s.ChangedAt.Format(time.RFC3339))
	if s.NextAt != nil {
		p.line("next attempt %s", s.NextAt.Format(time.RFC3339))
	}
	if s.Problem != "" {
		p.line("problem      %s", s.Problem)
	}
	if s.Reference != "" {
		p.line("reference    %s", s.Reference)
	}
	if s.NotAfter != nil {
		p.line("certificate  %s", s.Certificate)
		p.line("expires      %s", s.NotAfter.Format(time.RFC3339))
	}
}
