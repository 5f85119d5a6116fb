package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/mtasts"
	"github.com/smimerelay/smimerelay/relay/nexthop"
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
	hops  map[string]*nexthop.NextHop
	// policies are those of MTA-STS; a reload keeps them.
	policies *mtasts.Cache
	// count is set where there are metrics, freed where there is a queue; see
	// queue.Queue.Freed.
	count atomic.Pointer[func(policy, result string)]
	freed atomic.Pointer[func(destination string)]
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
	// A client waits for its turns at all of its destinations together: it would send again
	// what the first have, were it kept waiting at each. How long a delivery takes does not
	// count.
	patience := nexthop.LongestWait
	for _, at := range order {
		part := d
		part.Recipients = nil
		for _, i := range indexes[at] {
			part.Recipients = append(part.Recipients, d.Recipients[i])
		}
		results, partRelayed := r.give(ctx, &patience, at, part)
		for n, i := range indexes[at] {
			errs[i], relayed[i] = results[n], partRelayed[n]
		}
	}
	return errs, relayed
}

// give hands a message to the next hop of a destination when it has its turn there. A
// client waits for it, and has so much less patience afterwards.
func (r *routes) give(ctx context.Context, patience *time.Duration, at route.Destination, d relay.Delivery) ([]error, []bool) {
	hop := r.hops[at.Route]
	done, err := func() {}, error(nil)
	if turn, queued := relay.Turn(ctx); !queued {
		begun := time.Now()
		done, err = hop.AwaitTurn(ctx, at.Domain, *patience)
		*patience = max(0, *patience-time.Since(begun))
	} else if turn != at.String() { // it had another destination when it had its turn
		var after time.Duration
		if done, after = hop.Turn(at.Domain); done == nil {
			err = (&relay.NotYet{After: after}).Wait()
		}
	}
	if err != nil {
		return slices.Repeat([]error{err}, len(d.Recipients)), make([]bool, len(d.Recipients))
	}
	defer done()
	return hop.Deliver(ctx, at.Domain, d)
}

// turn takes the turn of a message at a destination, by its name; see nexthop.NextHop.Turn.
// One that is no more has no limits.
func (r *routes) turn(destination string) (done func(), wait time.Duration) {
	name, domain, _ := strings.Cut(destination, "/")
	hop := r.hops[name]
	if hop == nil {
		return func() {}, 0
	}
	return hop.Turn(domain)
}

// exit reports whether a copy leaves by its route, also where an MTA could take it back
// by milter: a [[route]] has it, or it goes outside and [next_hop] local says that only
// what goes outside leaves by address.
func (r *routes) exit(d relay.Delivery) bool {
	for _, to := range d.Recipients {
		name := r.table.Find(route.FactsOf(&d, to)).Name
		if _, local := r.hops[routeLocal]; name == routeDefault && local || !strings.Contains(name, ".") {
			return true
		}
	}
	return false
}

// tlsSession counts what became of an attempt to secure a connection.
func (r *routes) tlsSession(policy, result string) {
	if count := r.count.Load(); count != nil {
		(*count)(policy, result)
	}
}

// turnFreed has the queue ask again for its turn at a destination.
func (r *routes) turnFreed(at route.Destination) {
	if freed := r.freed.Load(); freed != nil {
		(*freed)(at.String())
	}
}

// close ends the idle connections.
func (r *routes) close() []error {
	var errs []error
	for _, c := range r.hops {
		errs = append(errs, c.Close())
	}
	return errs
}

// outbound makes the routes: those of listeners, each [[route]], then that of the local
// domains, and the one for all other mail.
func (b *builder) outbound() {
	lookup := b.lookup()
	web := &mtasts.Web{Resolver: lookup, Allowed: networks(b.config.Trust.FetchNetworks)}
	c := mtasts.Config{Lookup: lookup, Folder: b.config.DNS.MTASTS, Fetch: web.Fetch, Clock: b.clock}
	if b.before != nil {
		c.Before = b.before.routes.policies
	}
	policies := mtasts.New(c)
	b.parts.routes.policies = policies
	var list []route.Route
	var keys []string
	add := func(r route.Route, key string, c nexthop.Config) {
		c.Lookup, c.Policies = lookup, policies
		c.Freed = func(domain string) { b.parts.routes.turnFreed(route.Destination{Route: r.Name, Domain: domain}) }
		hop := b.nextHop(key, c)
		if hop == nil {
			return
		}
		r.PerDomain = hop.PerDomain()
		b.parts.routes.hops[r.Name] = hop
		list, keys = append(list, r), append(keys, key)
	}
	for i, l := range b.config.Listeners {
		if l.NextHop != "" {
			r := route.Route{Name: routeListener + l.Name, Conditions: route.Conditions{Listener: []string{l.Name}}}
			add(r, key("listener", i, "next_hop"), b.plainHop(l.NextHop))
		}
	}
	for i := range b.config.Routes {
		r := &b.config.Routes[i]
		add(route.Route{Name: r.Name, Conditions: route.Conditions{
			Recipient: condition(r.Recipient), ExceptRecipient: given(r.ExceptRecipient),
			Sender: condition(r.Sender), ExceptSender: given(r.ExceptSender),
			Listener: condition(r.Listener), Rule: condition(r.Rule), Direction: r.Direction,
		}}, key("route", i, ""), b.routeHop(r))
	}
	if local := b.config.NextHop.Local; local != "" {
		r := route.Route{Name: routeLocal, Conditions: route.Conditions{Recipient: b.domains()}}
		add(r, "next_hop.local", b.plainHop(local))
	}
	add(route.Route{Name: routeDefault}, "next_hop", b.plainHop(b.config.NextHop.Address))
	local, err := enforce.CompilePatterns(b.domains())
	if err != nil || len(list) != len(b.parts.routes.hops) || len(list) == 0 || list[len(list)-1].Name != routeDefault {
		return // reported: the gateway does of domains, config of addresses and of names that two routes have
	}
	b.parts.routes.table, err = route.New(list, local.Match)
	for _, e := range fault.Each(err) {
		p, ok := errors.AsType[*route.Problem](e)
		switch {
		case ok && b.isKnown(keys[p.Index]+"."+p.Key):
		case ok:
			b.complainOf(keys[p.Index]+"."+p.Key, p.Text, pattern)
		default:
			b.complain("next_hop", e.Error(), "")
		}
	}
}

// plainHop is what [next_hop] describes, with another address.
func (b *builder) plainHop(target string) nexthop.Config {
	n := b.config.NextHop
	if b.serving && len(b.problems) == 0 {
		target = config.Place(target)
	}
	return nexthop.Config{
		Hosts: []string{target}, TLS: nexthop.Mode(n.TLS), CA: n.CA,
		Client: smtpclient.Config{Hostname: b.name, Timeout: n.Timeout, Attempt: n.Attempt},
	}
}

func (b *builder) routeHop(r *config.Route) nexthop.Config {
	c := nexthop.Config{
		Hosts: r.Hosts(), Weights: r.Weights, Folder: r.Folder(), Port: r.Port, TLS: nexthop.Mode(r.TLS), Implicit: r.ImplicitTLS,
		CA: r.CA, VerifyName: r.VerifyName, Certificate: r.TLSCert, Key: r.TLSKey, Concurrency: r.Concurrency, Rate: r.Rate,
		Client: smtpclient.Config{
			Hostname: b.name, LMTP: r.Protocol == "lmtp", Timeout: r.Timeout, Attempt: r.Attempt, NoPipelining: !r.Pipelining, NoChunking: !r.Chunking, PerConnection: r.PerConnection,
			Sources: addresses(r.Source), Auth: login(r),
		},
	}
	if r.EHLO != "" {
		c.Client.Hostname = r.EHLO
	}
	return c
}

// nextHop makes where a route leads; nil if that cannot be.
func (b *builder) nextHop(key string, c nexthop.Config) *nexthop.NextHop {
	c.Client.SevenBit, c.Client.Log, c.Clock, c.Count = smime.SevenBit, b.log, b.clock, b.parts.routes.tlsSession
	hop, err := nexthop.New(c)
	if err == nil {
		return hop
	}
	for _, e := range fault.Each(err) {
		if !b.isKnown(key) {
			b.complain(key, e.Error(), "")
		}
	}
	return nil
}

// lookup asks the resolvers of [dns].
func (b *builder) lookup() *dns.Lookup {
	if b.dns == nil {
		b.dns = b.newLookup()
	}
	return b.dns
}

func (b *builder) newLookup() *dns.Lookup {
	servers := b.config.DNS.Resolvers
	if len(servers) == 0 {
		// Without the file, routes that need it find no resolver, and say so.
		servers, _ = dns.SystemServers("/etc/resolv.conf")
	}
	var list []*dns.Resolver
	for _, s := range servers {
		r, err := dns.New(dns.Config{Server: s, CA: b.config.DNS.CA, Timeout: b.config.DNS.Timeout})
		if err != nil {
			b.complain("dns.resolvers", err.Error(), "write an address, address:port or tls://NAME")
			continue
		}
		list = append(list, r)
	}
	lookup := dns.NewLookup(list...)
	for i, r := range b.config.Routes {
		if (r.TLS == "dane" || r.TLS == "mta-sts") && len(list) == len(servers) && !lookup.Trusted() {
			b.complain(key("route", i, "tls"), fmt.Sprintf("tls %q needs resolvers whose word cannot be forged on the way", r.TLS),
				"set dns.resolvers to one that validates, on a loopback address or as tls://NAME")
		}
	}
	return lookup
}
