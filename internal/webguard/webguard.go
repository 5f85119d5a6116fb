// Package webguard makes connections to web servers, and other servers, whose addresses strangers choose:
// those that certificates and the mail domains of recipients name. They reach the public
// Internet, and of the rest only what the administrator allows.
package webguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard dials. A host is resolved once, and what was checked is what is dialled: an answer
// of DNS that changes in between changes nothing.
type Guard struct {
	// Resolver is the host's where nil.
	Resolver Resolver
	// Allowed are address ranges that may be asked though they are private.
	Allowed []netip.Prefix
	// Ports are those below 1024 that may be asked; nil are those of web servers.
	Ports []int
	// Dial connects to an address and port; nil uses the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrForbidden is for a host of which no address may be asked.
var ErrForbidden = errors.New("address is not a public one")

// ErrPort is for a port that may not be asked.
var ErrPort = errors.New("not one of such a service")

// DialContext is for http.Transport.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := g.checkPort(port); err != nil {
		return nil, err
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, a := range addrs {
		if !g.permits(a) {
			// That an address which may be asked did not answer says more: the host is not
			// one for its own house alone.
			if last == nil {
				last = fmt.Errorf("host %q: %s: %w", host, a, ErrForbidden)
			}
			continue
		}
		conn, err := g.connect(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	if last == nil {
		last = fmt.Errorf("host %q: no address", host)
	}
	return nil, last
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return g.names().LookupNetIP(ctx, "ip", host)
}

// checkPort refuses the ports of services that speak something else, so that no one
// makes us talk to a mail server.
func (g *Guard) checkPort(port string) error {
	known := g.Ports
	if known == nil {
		known = []int{80, 443}
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 || n < 1024 && !slices.Contains(known, n) {
		return fmt.Errorf("port %q: %w", port, ErrPort)
	}
	return nil
}

func (g *Guard) permits(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	for _, p := range g.Allowed {
		if p.Contains(a) {
			return true
		}
	}
	return public(a)
}

// special are the ranges that are not of the public Internet (RFC 6890 and its
// registries), beyond those that netip knows.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4 leads to any IPv4 address
	netip.MustParsePrefix("3fff::/20"),
}

var globalIPv6 = netip.MustParsePrefix("2000::/3")

// public reports whether a belongs to the public Internet.
func public(a netip.Addr) bool {
	if a.IsPrivate() || !a.IsGlobalUnicast() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.Is4() || globalIPv6.Contains(a)
}

func (g *Guard) names() Resolver {
	if g.Resolver == nil {
		return net.DefaultResolver
	}
	return g.Resolver
}

// connect never resolves anything.
func (g *Guard) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if g.Dial != nil {
		return g.Dial(ctx, network, address)
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	return d.DialContext(ctx, network, address)
}
