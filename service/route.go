package service

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/route"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
	"github.com/smimerelay/smimerelay/smime"
)

// Names of the routes that [next_hop] and next_hop of a listener are. No [[route]] can
// have one of these: its name has no dot.
const (
	routeDefault  = "next_hop.address"
	routeLocal    = "next_hop.local"
	routeListener = "listener."
)

// routes are the ways out of the gateway, by the name of the route.
type routes struct {
	table *route.Table
	hops  map[string]*smtpclient.Client // by the name of the route
}

// deliver hands a message to the next hops of its recipients and returns what
// relay.Deliverer does. Its listener is that of d where it is not "".
func (r *routes) deliver(ctx context.Context, listener string, d relay.Delivery) (errs []error, relayed []bool) {
	indexes := make(map[route.Destination][]int)
	var order []route.Destination
	if listener != "" {
		d.Listener = listener
	}
	for i, to := range d.Recipients {
		at := r.table.Destination(route.FactsOf(&d, to))
		if indexes[at] == nil {
			order = append(order, at)
		}
		indexes[at] = append(indexes[at], i)
	}
	errs, relayed = make([]error, len(d.Recipients)), make([]bool, len(d.Recipients))
	for _, at := range order {
		part := d
		part.Recipients = nil
		for _, i := range indexes[at] {
			part.Recipients = append(part.Recipients, d.Recipients[i])
		}
		results, partRelayed := r.hops[at.Route].Deliver(ctx, part)
		for n, i := range indexes[at] {
			errs[i], relayed[i] = results[n], partRelayed[n]
		}
	}
	return errs, relayed
}

// close ends the idle connections.
func (r *routes) close() []error {
	var errs []error
	for _, c := range r.hops {
		errs = append(errs, c.Close())
	}
	return errs
}

// outbound makes the routes: those of listeners, then that of the local domains, then the
// one for all other mail.
func (b *builder) outbound() {
	var list []route.Route
	add := func(r route.Route, key, target string) {
		if c := b.client(key, target); c != nil {
			b.parts.routes.hops[r.Name] = c
			list = append(list, r)
		}
	}
	for i, l := range b.config.Listeners {
		if l.NextHop != "" {
			r := route.Route{Name: routeListener + l.Name, Conditions: route.Conditions{Listener: []string{l.Name}}}
			add(r, key("listener", i, "next_hop"), l.NextHop)
		}
	}
	if local := b.config.NextHop.Local; local != "" {
		r := route.Route{Name: routeLocal, Conditions: route.Conditions{Recipient: b.domains()}}
		add(r, "next_hop.local", local)
	}
	add(route.Route{Name: routeDefault}, "next_hop", b.config.NextHop.Address)
	if len(b.problems) > 0 {
		return // of domains and next hops: the table would complain of the same
	}
	local, err := enforce.CompilePatterns(b.domains())
	if err != nil {
		return // the gateway reports it
	}
	if b.parts.routes.table, err = route.New(list, local.Match); err != nil {
		b.complain("next_hop", err.Error(), "")
	}
}

func (b *builder) client(key, target string) *smtpclient.Client {
	if b.serving && len(b.problems) == 0 {
		target = config.Place(target)
	}
	n := b.config.NextHop
	c, err := smtpclient.New(smtpclient.Config{
		Address: target, Hostname: b.name, TLS: n.TLS, CA: n.CA, Timeout: n.Timeout,
		SevenBit: smime.SevenBit, Log: b.log,
	})
	if err != nil && !b.isKnown(key) {
		b.complain(key, err.Error(), "")
	}
	return c
}
