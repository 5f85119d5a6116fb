package smtpd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// forwarded is what an MTA in front says about its client by XFORWARD (Postfix
// XFORWARD_README). It holds for the next message.
type forwarded struct {
	said  bool
	addr  netip.Addr
	helo  string
	id    string // the MTA's queue id
	login string
	local bool // the message came from a program on the MTA's host
}

// attributes are those that we take. Postfix sends all but LOGIN, which it has
// for XCLIENT only.
const attributes = "NAME ADDR PORT PROTO HELO IDENT SOURCE LOGIN"

// forward answers an XFORWARD command.
func (l *link) forward(args string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	reply := line(relay.Accepted("Ok"))
	switch f, err := l.forwarded.add(args); {
	case !l.trusted:
		reply = l.refusal(fault.Narrow(fault.Policy, fault.Unauthorized, "XFORWARD is not accepted from this client", nil))
	case l.inTransaction:
		reply = l.refusal(outOfOrder("XFORWARD within a mail transaction"))
	case err != nil:
		reply = l.refusal(badParams(err))
	default:
		l.forwarded = f
	}
	return l.reply([]byte(reply))
}

// add returns f with further attributes.
func (f forwarded) add(args string) (forwarded, error) {
	words := strings.Fields(args)
	if len(words) == 0 {
		return f, fmt.Errorf("XFORWARD: no attributes")
	}
	f.said = true
	for _, word := range words {
		name, value, ok := attribute(word)
		if !ok {
			return f, fmt.Errorf("XFORWARD: attribute %q not understood", word)
		}
		switch name {
		case "ADDR":
			var err error
			if f.addr, err = forwardedAddr(value); err != nil {
				return f, fmt.Errorf("XFORWARD: address %q not understood", value)
			}
		case "HELO":
			f.helo = value
		case "IDENT":
			f.id = value
		case "LOGIN":
			f.login = value
		case "SOURCE":
			f.local = strings.EqualFold(value, "LOCAL")
		case "NAME", "PORT", "PROTO":
		default:
			return f, fmt.Errorf("XFORWARD: attribute %q is not one of %s", name, attributes)
		}
	}
	return f, nil
}

// attribute splits NAME=VALUE of XFORWARD and XCLIENT; the value is "" where it is not
// known.
func attribute(word string) (name, value string, ok bool) {
	name, value, found := strings.Cut(word, "=")
	value, clean := wire.Xtext(value)
	if value == "[UNAVAILABLE]" || value == "[TEMPUNAVAIL]" {
		value = ""
	}
	return strings.ToUpper(name), value, found && clean
}

// forwardedAddr reads "192.0.2.1", "IPV6:2001:db8::1", or nothing.
func forwardedAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "IPV6:") {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err
}

// trusts reports whether a peer may say who its client is: one in a network that the
// listener names and, with LMTP, one on this host, where the MTA in front is. To a relay
// by SMTP strangers may come by way of this host: through a proxy or a tunnel.
func (c *Config) trusts(peer netip.Addr) bool {
	return c.LMTP && onHost(peer) || within(c.Forwarders, peer)
}

// onHost reports whether a peer is on this host. A unix socket has no address.
func onHost(peer netip.Addr) bool { return !peer.IsValid() || peer.IsLoopback() }

// trusted is trusts for the client. One that others speak for must be named: it is not on
// this host, whatever its address.
func (c *client) trusted() bool {
	if c.proxied || c.named != nil {
		return within(c.server.config.Forwarders, c.addr())
	}
	return c.server.config.trusts(c.addr())
}

// exempt reports whether a peer speaks for many clients.
func (c *Config) exempt(peer netip.Addr) bool {
	return onHost(peer) || c.trusts(peer) || within(c.Proxies, peer) || within(c.XClient, peer)
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// paths reads addresses.
func (c *Config) paths() wire.Paths {
	return wire.Paths{Host: c.Hostname, Postmaster: c.Postmaster, AllowRouted: c.AllowRouted}
}
