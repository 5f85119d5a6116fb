package service

import (
	"fmt"
	"net"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// placeholders warns of names of the documentation that were left in the configuration of the
// service: mail of the true domains would be that of strangers. Other files are trials.
func placeholders(c *config.Config) config.Problems {
	if c.File() != config.File {
		return nil
	}
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
	for _, hop := range []struct{ key, address string }{{"next_hop.address", c.NextHop.Address}, {"next_hop.local", c.NextHop.Local}} {
		host, _, _ := net.SplitHostPort(hop.address)
		look(hop.key, host)
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
