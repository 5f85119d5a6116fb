package service

import (
	"fmt"
	"net"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// Ports on which a server speaks TLS from the first octet on, and that of LDAP without it.
const (
	portSubmissions = "465" // RFC 8314 section 3.3
	portLDAP        = "389"
	portLDAPS       = "636"
)

// oddPorts warns of ports on which another protocol is spoken than the configuration says: both
// sides would wait for the other until the time is over.
func oddPorts(c *config.Config) config.Problems {
	var ws config.Problems
	warn := func(key, text, remedy string) { ws = append(ws, c.Problem(key, text, remedy)) }
	const begins = "servers expect TLS from the first octet on at port 465"
	for i, r := range c.Routes {
		for n, to := range r.Hosts() {
			if portOf(to) == portSubmissions && !r.ImplicitTLS {
				warn(key("route", i, fmt.Sprintf("to[%d]", n)), begins, `set implicit_tls = true and tls = "require", or use port 587`)
			}
		}
	}
	for _, hop := range []struct{ key, address string }{{"next_hop.address", c.NextHop.Address}, {"next_hop.local", c.NextHop.Local}} {
		if portOf(hop.address) == portSubmissions {
			warn(hop.key, begins, "use another port, or a [[route]] with implicit_tls = true")
		}
	}
	for i, d := range c.Directory {
		for n, url := range d.URLs {
			scheme, authority, _ := strings.Cut(url, "://")
			authority, _, _ = strings.Cut(authority, "/")
			at := key("directory", i, fmt.Sprintf("urls[%d]", n))
			switch port := portOf(authority); {
			case scheme == "ldap" && port == portLDAPS:
				warn(at, "servers expect TLS from the first octet on at port 636", "write ldaps://")
			case scheme == "ldaps" && port == portLDAP:
				warn(at, "servers expect StartTLS at port 389", "write ldap:// and set start_tls = true, or use port 636")
			}
		}
	}
	return ws
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
