// Package smtpclient delivers messages to the next hop over SMTP (RFC 5321), with
// STARTTLS (RFC 3207), PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SMTPUTF8 (RFC
// 6531), SIZE (RFC 1870) and DSN (RFC 3461) where the hop offers them.
//
// A message goes out exactly as it is, with one exception: 8-bit content for a
// hop without 8BITMIME is converted (RFC 6152 section 3) where nothing that is
// signed changes by it, and refused for good with 5.6.3 otherwise. Everything
// that the gateway signs or encrypts is 7-bit already.
package smtpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Config says where the next hop is and how to speak to it.
type Config struct {
	// Address is "host:port" or "unix:/path".
	Address string
	// Hostname is our name in EHLO.
	Hostname string
	// TLS is "off", "opportunistic" (use it if offered, without looking at the
	// certificate: RFC 7435) or "require" (with a certificate that names the
	// host). "" is "opportunistic".
	TLS string
	// CA is a PEM file with the trust anchors for "require"; "" means those of
	// the system.
	CA string
	// Timeout is the longest wait for any one answer; 0 means those of RFC
	// 5321 section 4.5.3.2.
	Timeout time.Duration
	// SevenBit converts a message for a hop without 8BITMIME; its error means
	// that it may not be. Nil converts nothing.
	SevenBit func(*message.Message) (*message.Message, error)
	// Log is where deliveries go, with the next hop's answer; nil is slog.Default.
	Log *slog.Logger
}

// Client delivers to one next hop and keeps a few connections to it open. It
// implements relay.Deliverer.
type Client struct {
	config        Config
	network, addr string
	tls           *tls.Config // nil: never
	timeouts      timeouts

	mu     sync.Mutex
	idle   []*hop
	closed bool
}

const (
	maxIdle    = 20               // connections kept open: as many as the queue has workers
	idleTime   = 10 * time.Second // how long
	maxPerConn = 100              // messages over one connection
)

// New returns a Client. Its error names the option that cannot be used.
func New(c Config) (*Client, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	cl := &Client{config: c, network: "tcp", addr: c.Address, timeouts: newTimeouts(c.Timeout)}
	if path, ok := strings.CutPrefix(c.Address, "unix:"); ok {
		cl.network, cl.addr = "unix", path
	} else if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return nil, fmt.Errorf("next hop address %q: %w", c.Address, err)
	}
	var err error
	switch c.TLS {
	case "off":
	case "", "opportunistic":
		cl.tls = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // G402: RFC 7435, opportunistic
	case "require":
		cl.tls, err = verifying(cl.network, cl.addr, c.CA)
	default:
		err = fmt.Errorf("next hop tls %q: not off, opportunistic or require", c.TLS)
	}
	if err != nil {
		return nil, err
	}
	return cl, nil
}

func verifying(network, addr, ca string) (*tls.Config, error) {
	if network == "unix" {
		return nil, errors.New(`next hop tls "require": a unix socket has no name to verify`)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("next hop address %q: %w", addr, err)
	}
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return t, nil
	}
	if t.RootCAs, err = pemfile.Pool(ca); err != nil {
		return nil, fmt.Errorf("next hop ca: %w", err)
	}
	return t, nil
}

// Deliver sends d and returns one error a recipient, in their order; nil where
// the next hop took responsibility. A fault.NextHop may succeed later, a
// fault.Refused or another permanent kind never will. relayed says of whom the
// hop that took the message does not know DSN (RFC 3461).
func (c *Client) Deliver(ctx context.Context, d relay.Delivery) (results []error, relayed []bool) {
	t := newTransfer(d)
	if err := t.check(); err != nil {
		t.fail(err)
		return t.results, t.relayed
	}
	for len(t.open) > 0 {
		before := len(t.open)
		c.attempt(ctx, t)
		if len(t.open) == before {
			t.fail(fault.New(fault.NextHop, "next hop accepted no recipient", nil))
		}
	}
	return t.results, t.relayed
}

// attempt runs one mail transaction for the open recipients. Those that the hop
// wants in another transaction stay open.
func (c *Client) attempt(ctx context.Context, t *transfer) {
	for _, fresh := range []bool{false, true} {
		h, err := c.get(ctx, fresh)
		if err != nil {
			t.fail(err)
			return
		}
		err = h.send(ctx, t)
		if err == nil {
			c.put(h)
			return
		}
		h.close()
		// A connection that was kept may have been closed by the hop since. As
		// long as it has not been given the message, nothing is sent twice.
		if h.messages == 0 || h.committed || ctx.Err() != nil {
			t.fail(lost(err))
			return
		}
	}
	t.fail(lost(errors.New("connection closed")))
}

// get returns a connection: one kept open, or a new one.
func (c *Client) get(ctx context.Context, fresh bool) (*hop, error) {
	if !fresh {
		if h := c.take(); h != nil {
			return h, nil
		}
	}
	h, err := c.dial(ctx, c.tls)
	if err != nil && c.config.TLS != "require" && errors.Is(err, errHandshake) {
		// Opportunistic: a hop whose TLS is broken is a hop without TLS.
		h, err = c.dial(ctx, nil)
	}
	if err != nil {
		return nil, lost(err)
	}
	return h, nil
}

func (c *Client) take() *hop {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.idle) > 0 {
		h := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		if h.timer.Stop() {
			return h
		}
	}
	return nil
}

// put keeps a connection for a while.
func (c *Client) put(h *hop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.messages++
	h.committed = false
	if c.closed || len(c.idle) >= maxIdle || h.messages >= maxPerConn {
		h.quit()
		return
	}
	c.idle = append(c.idle, h)
	h.timer = time.AfterFunc(idleTime, func() { c.expire(h) })
}

func (c *Client) expire(h *hop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.idle {
		if other == h {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			break
		}
	}
	h.quit()
}

// Close closes the connections that are kept open. Deliver still works after
// it and keeps none.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, h := range c.idle {
		if h.timer.Stop() {
			h.quit()
		}
	}
	c.idle = nil
	return nil
}
