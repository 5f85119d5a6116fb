package service

import (
	"fmt"
	"net"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// placeholders warns of names of the documentation that were left in a configuration: mail of
// the true domains would be that of strangers.
func placeholders(c *config.Config) config.Problems {
	var ws config.Problems
	look := func(key, name string) {
		if isExample(name) {
			ws = append(ws, c.Problem(key, fmt.Sprintf("%q is a name of the documentation, which no one can use (RFC 2606)", name), "write your own"))
		}
	}
	look("hostname", c.Hostname)
	for i, d := range c.Domains {
		look(fmt.Sprintf("domains[%d]", i), d)
	}
	hop := func(key, address string) {
		host, _, _ := net.SplitHostPort(address)
		look(key, host)
	}
	hop("next_hop.address", c.NextHop.Address)
	hop("next_hop.local", c.NextHop.Local)
	for i, r := range c.Routes {
		for n, to := range r.Hosts() {
			hop(key("route", i, fmt.Sprintf("to[%d]", n)), to)
		}
	}
	for i, l := range c.Listeners {
		hop(key("listener", i, "next_hop"), l.NextHop)
	}
	return ws
}

// isExample reports whether a name is below one that is kept for examples.
func isExample(name string) bool {
	name = "." + strings.ToLower(strings.TrimSuffix(name, "."))
	for _, kept := range []string{".example", ".example.com", ".example.net", ".example.org", ".invalid"} {
		if strings.HasSuffix(name, kept) {
			return true
		}
	}
	return false
}
