package service

import (
	"slices"

	"github.com/smimerelay/smimerelay/internal/config"
)

// reachable warns of listeners that others than this host reach and that are safe for this
// host only.
func reachable(c *config.Config) config.Problems {
	var ws config.Problems
	for i, l := range c.Listeners {
		if slices.Contains(l.ClientNames, config.Everybody) {
			ws = append(ws, c.Problem(key("listener", i, "client_names"), "every certificate of client_ca is admitted", "name the clients, unless the CA issues to them alone"))
		}
		if l.Local() {
			continue
		}
		if l.Auth == "always" {
			ws = append(ws, c.Problem(key("listener", i, "auth"), "passwords cross the network without TLS", `write auth = "tls"`))
		}
		if l.Protocol == "lmtp" {
			ws = append(ws, c.Problem(key("listener", i, "address"), "every host that reaches it may send mail to everybody: with LMTP, the MTA in front decides who may",
				"use 127.0.0.1 or a unix: address, or a firewall"))
		}
	}
	return ws
}
