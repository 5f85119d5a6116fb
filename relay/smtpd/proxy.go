package smtpd

import (
	"bufio"
	"io"
	"net"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// maxIntroduction is how long a proxy may take to say for whom it connects: it does so
// at once.
const maxIntroduction = 10 * time.Second

// introduced reads the header of the PROXY protocol, version 1 or 2, where the peer is a
// proxy, and reports whether the connection goes on. A listed proxy that sends none is
// not served: its client would pass for the proxy.
func (c *client) introduced() bool {
	if !within(c.server.config.Proxies, wire.RemoteAddr(c.raw)) {
		return true
	}
	limit := min(maxIntroduction, c.server.config.Limits.Read)
	if err := c.raw.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return false
	}
	in := bufio.NewReader(c.raw)
	header, err := proxyproto.Read(in)
	if err != nil {
		c.log().Warn("connection closed: no valid PROXY header", "error", err)
		return false
	}
	if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
		return false
	}
	p := proxied{Conn: c.raw, in: in, from: unknown{}}
	if source, _, ok := header.TCPAddrs(); ok && !header.Command.IsLocal() {
		p.from = source
	}
	c.raw, c.proxied = p, true
	if !c.server.acceptor.Claim(c, c.addr()) {
		c.server.busy(c.raw)
		return false
	}
	return true
}

// proxied is a connection by way of a proxy.
type proxied struct {
	net.Conn
	in   io.Reader // has read ahead
	from net.Addr
}

func (p proxied) Read(b []byte) (int, error) { return p.in.Read(b) }

// RemoteAddr is the address of the proxy's client.
func (p proxied) RemoteAddr() net.Addr { return p.from }

// unknown is where a client is of whom the proxy says nothing, or that is the proxy. It
// is in no network.
type unknown struct{}

// Network implements net.Addr.
func (unknown) Network() string { return "unknown" }

func (unknown) String() string { return "unknown" }
