package service

import (
	"maps"
	"slices"

	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// NextHop is a next hop that the configuration names.
type NextHop struct {
	// Route is the name of its route; that of [next_hop] is the option.
	Route string
	*smtpclient.Client
}

// NextHops are all next hops, by the names of their routes.
func (p *Parts) NextHops() []NextHop {
	var all []NextHop
	for _, name := range slices.Sorted(maps.Keys(p.routes.hops)) {
		all = append(all, NextHop{name, p.routes.hops[name]})
	}
	return all
}
