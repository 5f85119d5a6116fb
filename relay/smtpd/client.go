package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// client is one connection from accept to close: a link in the clear and, after
// STARTTLS, a second one over TLS, each served by a library server of its own.
// Nothing that the peer said in the clear can reach the second (RFC 3207
// section 4.2).
type client struct {
	server *Server
	socket net.Conn // as accepted
	raw    net.Conn // socket, or what a proxy says of it
	since  time.Time
	// proxied says that a proxy named the client: what is allowed to programs on this
	// host is not allowed to those on the proxy's.
	proxied bool
	named   *named          // by XCLIENT
	ctx     context.Context //nolint:containedctx // the life of the connection
	cancel  context.CancelFunc

	// work is read-locked while a message is in hand: with BDAT that is in a
	// goroutine of the library that is never waited for.
	work sync.RWMutex

	mu       sync.Mutex
	link     *link
	draining bool
}

func (s *Server) newClient(nc net.Conn) wire.Conn {
	c := &client{server: s, socket: nc, raw: nc, since: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Run serves the connection to its end.
func (c *client) Run() {
	var links []*link
	defer func() {
		c.cancel()
		c.work.Lock() // it is not to be locked again: the session is over
		for _, l := range links {
			l.free()
		}
	}()
	if !c.introduced() {
		return
	}
	if !c.server.config.Implicit {
		plain := c.newLink(c.raw, nil)
		links = append(links, plain)
		c.serve(plain)
		if !plain.upgraded() {
			return
		}
	}
	secured, err := c.handshake()
	if err != nil {
		c.log().Info("TLS handshake failed", "error", err)
		return
	}
	state := secured.ConnectionState()
	l := c.newLink(secured, &state)
	links = append(links, l)
	l.silent = !c.server.config.Implicit
	c.serve(l)
}

// log is for what is of no message.
func (c *client) log() *slog.Logger {
	return c.server.config.Log.With("listener", c.server.config.Listener, "client", c.raw.RemoteAddr().String())
}

// addr is the address of the client; the zero Addr where it has none, or none is known.
func (c *client) addr() netip.Addr {
	if c.named != nil {
		return c.named.addr
	}
	return wire.RemoteAddr(c.raw)
}

func (c *client) handshake() (*tls.Conn, error) {
	t := tls.Server(c.raw, c.server.config.TLS)
	ctx, cancel := context.WithTimeout(c.ctx, c.server.config.Limits.Read)
	defer cancel()
	return t, t.HandshakeContext(ctx)
}

// serve runs the library on one link until it closes it.
func (c *client) serve(l *link) {
	if !c.attach(l) {
		return
	}
	srv := c.server.library(l.tls != nil, smtp.BackendFunc(func(sc *smtp.Conn) (smtp.Session, error) {
		wire.GrowStack() // of the library's goroutine for the connection
		return l.newSession(sc), nil
	}))
	// Serve fails at its second Accept, with the connection in a goroutine
	// that Shutdown then waits for.
	if err := srv.Serve(&single{conn: l}); !errors.Is(err, errSingle) {
		c.server.config.Log.Error("connection failed", "error", err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		c.server.config.Log.Error("connection failed", "error", err)
	}
}

// attach makes l the link that Drain acts on.
func (c *client) attach(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.link = l
	return true
}

// Drain ends the connection as soon as no message is under way on it.
func (c *client) Drain() {
	c.mu.Lock()
	c.draining = true
	l := c.link
	c.mu.Unlock()
	if l == nil {
		c.Close()
		return
	}
	l.drain()
}

// Close cuts the connection and the work on its message.
func (c *client) Close() error {
	c.cancel()
	return c.socket.Close()
}

var errSingle = errors.New("connection refused: too many connections")

// single is a listener that has one connection.
type single struct {
	conn net.Conn
	once sync.Once
}

func (s *single) Accept() (c net.Conn, err error) {
	err = errSingle
	s.once.Do(func() { c, err = s.conn, nil })
	return c, err
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// deadline is when something must have happened that may take d from now, but
// not longer than limit, if that is set.
func deadline(now time.Time, d time.Duration, limit time.Time) time.Time {
	t := now.Add(d)
	if !limit.IsZero() && limit.Before(t) {
		return limit
	}
	return t
}
