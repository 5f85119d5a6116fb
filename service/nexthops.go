package service

import (
	"maps"
	"slices"

	"github.com/smimerelay/smimerelay/relay/nexthop"
)

// NextHop is where a route of the configuration leads.
type NextHop struct {
	// Route is the name of the route; that of [next_hop] is the option.
	Route string
	*nexthop.NextHop
}

// NextHops are all next hops, by the names of their routes.
func (p *Parts) NextHops() []NextHop {
	var all []NextHop
	for _, name := range slices.Sorted(maps.Keys(p.routes.hops)) {
		all = append(all, NextHop{name, p.routes.hops[name]})
	}
	return all
}
