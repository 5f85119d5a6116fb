package smtpd

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// named is what a proxy says about its client by XCLIENT (Postfix XCLIENT_README). From
// then on the connection is that client's: it counts for STARTTLS, too.
type named struct {
	addr        netip.Addr
	name, login string
}

// clientAttributes are those that we take.
const clientAttributes = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

// mayXClient reports whether the peer may say who its client is, once.
func (l *link) mayXClient() bool {
	c := l.client
	return c.named == nil && within(c.server.config.XClient, wire.RemoteAddr(c.raw))
}

// xclient answers an XCLIENT command. The session begins again with a greeting.
func (l *link) xclient(args string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := readNamed(args)
	switch {
	case !l.mayXClient():
		return l.reply([]byte(l.refusal(fault.Narrow(fault.Policy, fault.Unauthorized, "XCLIENT is not accepted from this client", nil))))
	case l.inTransaction:
		return l.reply([]byte(l.refusal(outOfOrder("XCLIENT within a mail transaction"))))
	case err != nil:
		return l.reply([]byte(l.refusal(badParams(err))))
	}
	c := l.client
	c.named = n
	if !c.server.acceptor.Claim(c, n.addr) {
		return l.hangUp(closing(fault.Closing, c.server.config.Hostname+" too many connections, try again later"))
	}
	l.user, l.holder, l.trusted, l.forwarded = n.login, "", c.trusted(), forwarded{}
	return l.send([]byte(relay.Greeting(c.server.config.Hostname) + "\r\n"))
}

// helo is the name that the client gives itself; said is the one of this connection.
func (c *client) helo(said string) string {
	if c.named != nil && c.named.name != "" {
		return c.named.name
	}
	return said
}

// readNamed reads the attributes of XCLIENT. An address that is not said is unknown: it
// is not that of the proxy.
func readNamed(args string) (*named, error) {
	words := strings.Fields(args)
	if len(words) == 0 {
		return nil, fmt.Errorf("XCLIENT: no attributes")
	}
	n := &named{}
	for _, word := range words {
		name, value, ok := attribute(word)
		if !ok {
			return nil, fmt.Errorf("XCLIENT: attribute %q not understood", word)
		}
		switch name {
		case "ADDR":
			var err error
			if n.addr, err = forwardedAddr(value); err != nil {
				return nil, fmt.Errorf("XCLIENT: address %q not understood", value)
			}
		case "HELO":
			n.name = value
		case "LOGIN":
			n.login = value
		case "NAME", "PORT", "PROTO", "DESTADDR", "DESTPORT":
		default:
			return nil, fmt.Errorf("XCLIENT: attribute %q is not one of %s", name, clientAttributes)
		}
	}
	return n, nil
}
