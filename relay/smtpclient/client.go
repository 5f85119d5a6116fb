// Package smtpclient delivers messages to a server over SMTP (RFC 5321) or LMTP (RFC
// 2033), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314), AUTH (RFC 4954),
// PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), SIZE (RFC 1870), DSN
// (RFC 3461), CHUNKING (RFC 3030), LIMITS (RFC 9422) and REQUIRETLS (RFC 8689) where the
// server offers them. Which server, and how it must prove who it is, is decided by others.
//
// A message goes out exactly as it is, with one exception: 8-bit content for a
// hop without 8BITMIME is converted (RFC 6152 section 3) where nothing that is
// signed changes by it, and refused for good with 5.6.3 otherwise. Everything
// that the gateway signs or encrypts is 7-bit already.
package smtpclient

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Config says how to speak to the servers of a route.
type Config struct {
	// Hostname is our name in EHLO.
	Hostname string
	// LMTP speaks RFC 2033: one answer for each recipient.
	LMTP bool
	// Auth, where not nil, is shown to every server. Without a verified certificate, or
	// a path that does not leave this machine, it is not, and nothing is sent.
	Auth *Auth
	// Sources are the addresses to connect from: the first of the family of the server's.
	// Without one the system chooses.
	Sources []netip.Addr
	// NoPipelining waits for each answer, also where the server offers PIPELINING.
	NoPipelining bool
	// NoChunking sends messages by DATA, also where the server offers CHUNKING.
	NoChunking bool
	// PerConnection is how many messages go over one connection; 0 is 100. A server may
	// announce that it wants fewer.
	PerConnection int
	// Timeout is the longest wait for any one answer; 0 means those of RFC
	// 5321 section 4.5.3.2.
	Timeout time.Duration
	// Attempt is how long an attempt may take in all, by whatever servers, until one has the
	// message, and as long again until that has answered; a second more for each 4096
	// octets of the message. 0 is no limit.
	Attempt time.Duration
	// SevenBit converts a message for a hop without 8BITMIME; its error means
	// that it may not be. Nil converts nothing.
	SevenBit func(*message.Message) (*message.Message, error)
	// Opened, where not nil, learns of each new connection that was secured or could not
	// be: err is nil, or why TLS failed.
	Opened func(h Host, secured bool, err error)
	// Clock tells the time for what is remembered of servers; nil is time.Now.
	Clock func() time.Time
	// Log is where deliveries go, with the next hop's answer; nil is slog.Default.
	Log *slog.Logger
}

// Client delivers to the servers of one route and keeps a few connections open. It is
// safe for concurrent use.
type Client struct {
	config   Config
	timeouts timeouts
	noChunks remembered

	mu     sync.Mutex
	idle   []*hop
	closed bool
}

const (
	maxIdle    = 20               // connections kept open: as many as the queue has workers
	idleTime   = 10 * time.Second // how long
	maxPerConn = 100              // messages over one connection
)

// New returns a Client.
func New(c Config) *Client {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.PerConnection <= 0 {
		c.PerConnection = maxPerConn
	}
	return &Client{config: c, timeouts: newTimeouts(c.Timeout)}
}

// Deliver sends what is open of t to a server. Recipients that the server has answered
// for get their result. The others stay open, and may be given to another server: it
// could not be reached, or has not been given the message.
func (c *Client) Deliver(ctx context.Context, host Host, t *Transfer) {
	if err := t.check(ctx); err != nil {
		t.fail(err)
		return
	}
	t.begin(&c.config)
	if t.allowance.over() {
		return // the reason is the server that took the time
	}
	for len(t.open) > 0 {
		before := len(t.open)
		if !c.attempt(ctx, host, t) {
			return
		}
		if len(t.open) == before {
			t.fail(fault.New(fault.NextHop, "next hop accepted no recipient", nil))
		}
	}
}

// attempt runs one mail transaction for the open recipients. Those that the hop
// wants in another transaction stay open. It reports false if another server is to be
// asked.
func (c *Client) attempt(ctx context.Context, host Host, t *Transfer) bool {
	for _, fresh := range []bool{false, true, true} { // the third time without BDAT
		h, err := c.get(ctx, host, fresh, t.allowance)
		if err != nil {
			t.Note(host.lost(t.allowance.explain(err)))
			return false
		}
		if len(h.share(t)) == 0 {
			h.quit() // it was kept, and takes no more domains
			continue
		}
		err = h.send(ctx, t)
		switch {
		case errors.Is(err, errElsewhere):
			c.put(h)
			return false
		case err == nil:
			c.put(h)
			return true
		}
		h.close()
		if h.trying && ctx.Err() == nil && !h.allowance.over() || errors.Is(err, errNoChunks) {
			c.avoidChunks(host)
		}
		if errors.Is(err, errNoChunks) {
			continue // it has said that it does not have the message
		}
		if h.committed {
			t.fail(host.lost(h.allowance.explain(err)))
			return true
		}
		// A connection that was kept may have been closed by the hop since. As
		// long as it has not been given the message, nothing is sent twice.
		if h.messages == 0 || ctx.Err() != nil || t.allowance.over() {
			if !errors.Is(err, errClosed) { // then it has said why
				t.Note(host.lost(t.allowance.explain(err)))
			}
			return false
		}
	}
	t.Note(host.lost(errClosed))
	return false
}

// get returns a connection: one kept open, or a new one.
func (c *Client) get(ctx context.Context, host Host, fresh bool, a *allowance) (*hop, error) {
	if !fresh {
		if h := c.take(host.key()); h != nil {
			h.allowance = a
			return h, nil
		}
	}
	h, err := c.dial(ctx, host, a)
	if err != nil && host.TLS.fallsBack() && errors.Is(err, errHandshake) && ctx.Err() == nil {
		// Opportunistic: a hop whose TLS is broken is a hop without TLS.
		host.TLS = TLS{key: host.TLS.key}
		h, err = c.dial(ctx, host, a)
	}
	return h, err
}

func (c *Client) take(key string) *hop {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.idle) - 1; i >= 0; i-- {
		h := c.idle[i]
		if h.host.key() != key {
			continue
		}
		c.idle = append(c.idle[:i], c.idle[i+1:]...)
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
	h.committed, h.allowance = false, nil
	if c.closed || len(c.idle) >= maxIdle || h.used() {
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
