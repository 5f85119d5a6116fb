package smtpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// hop is a connection to the next hop, greeted and secured.
type hop struct {
	client     *Client
	nc         net.Conn
	r          *bufio.Reader
	w          *bufio.Writer
	greeted    string            // the name that the hop gives itself
	extensions map[string]string // by upper-case keyword (RFC 5321 section 4.1.1.1)

	messages  int // sent over it
	committed bool
	timer     *time.Timer // closes it when idle
}

var (
	errHandshake = errors.New("TLS handshake failed")
	errClosed    = errors.New("next hop closed the connection")
	errNoTLS     = errors.New("the next hop does not offer STARTTLS, which is required")
)

// dial connects and says EHLO; with t it starts TLS if it can.
func (c *Client) dial(ctx context.Context, t *tls.Config) (*hop, error) {
	d := net.Dialer{Timeout: c.timeouts.connect}
	nc, err := d.DialContext(ctx, c.network, c.addr)
	if err != nil {
		return nil, err
	}
	h := &hop{client: c}
	h.use(nc)
	if err := h.open(ctx, t); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hop) use(nc net.Conn) {
	h.nc = nc
	// New buffers: what came in the clear must not be read as secured (RFC 3207
	// section 4.2).
	h.r, h.w = bufio.NewReaderSize(nc, maxLine), bufio.NewWriterSize(nc, 64<<10)
}

func (h *hop) open(ctx context.Context, t *tls.Config) error {
	defer h.watch(ctx)()
	if err := h.expect(ctx, h.client.timeouts.command, 2); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := h.hello(ctx); err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	if _, ok := h.extensions["STARTTLS"]; !ok {
		if t.InsecureSkipVerify {
			return nil
		}
		return errNoTLS
	}
	return h.secure(ctx, t)
}

func (h *hop) secure(ctx context.Context, t *tls.Config) error {
	r, err := h.command(ctx, h.client.timeouts.command, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return fmt.Errorf("%w: %w", errHandshake, asError(r))
	}
	tc := tls.Client(h.nc, t)
	ctx, cancel := context.WithTimeout(ctx, h.client.timeouts.command)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	h.use(tc)
	return h.hello(ctx)
}

// hello says EHLO, or HELO to a hop that does not know it.
func (h *hop) hello(ctx context.Context) error {
	h.extensions = map[string]string{}
	lines, r, err := h.commandLines(ctx, h.client.timeouts.command, "EHLO "+h.client.config.Hostname)
	if err != nil {
		return err
	}
	if r.Code == 500 || r.Code == 502 {
		if r, err = h.command(ctx, h.client.timeouts.command, "HELO "+h.client.config.Hostname); err != nil {
			return err
		}
		lines = nil
	}
	if r.Code/100 != 2 {
		return fmt.Errorf("EHLO: %w", asError(r))
	}
	for i, line := range lines {
		if i == 0 {
			h.greeted, _, _ = strings.Cut(line, " ")
		} else {
			keyword, params, _ := strings.Cut(line, " ")
			h.extensions[strings.ToUpper(keyword)] = params
		}
	}
	return nil
}

// verified reports whether the hop is spoken to over TLS and has shown a certificate that
// was verified.
func (h *hop) verified() bool {
	tc, ok := h.nc.(*tls.Conn)
	return ok && len(tc.ConnectionState().VerifiedChains) > 0
}

func (h *hop) offers(extension string) bool {
	_, ok := h.extensions[extension]
	return ok
}

// watch makes waits end when ctx does; the function it returns ends the watch.
func (h *hop) watch(ctx context.Context) func() bool {
	nc := h.nc
	return context.AfterFunc(ctx, func() {
		// Setting a deadline on a closed connection fails, which is as good.
		_ = nc.SetDeadline(time.Unix(1, 0))
	})
}

// allow gives the next exchange d.
func (h *hop) allow(ctx context.Context, d time.Duration) error {
	if err := h.nc.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	// Looked at after the deadline was set: watch may have set its own before.
	return context.Cause(ctx)
}

// command sends a line and returns the reply.
func (h *hop) command(ctx context.Context, d time.Duration, line string) (fault.Reply, error) {
	_, r, err := h.commandLines(ctx, d, line)
	return r, err
}

func (h *hop) commandLines(ctx context.Context, d time.Duration, line string) ([]string, fault.Reply, error) {
	if err := h.write(ctx, []step{{line: line, wait: d}}); err != nil {
		return nil, fault.Reply{}, err
	}
	return readReply(h.r)
}

// write sends commands at once, and leaves the first of their replies its time.
func (h *hop) write(ctx context.Context, group []step) error {
	if err := h.allow(ctx, group[0].wait); err != nil {
		return err
	}
	for _, s := range group {
		if strings.ContainsAny(s.line, "\r\n") {
			return fmt.Errorf("command %q: line end inside", s.line)
		}
		if _, err := h.w.WriteString(s.line + "\r\n"); err != nil {
			return err
		}
	}
	return h.w.Flush()
}

// reply reads a reply, which may take d.
func (h *hop) reply(ctx context.Context, d time.Duration) (fault.Reply, error) {
	if err := h.allow(ctx, d); err != nil {
		return fault.Reply{}, err
	}
	_, r, err := readReply(h.r)
	return r, err
}

// expect reads a reply and wants it of the class.
func (h *hop) expect(ctx context.Context, d time.Duration, class int) error {
	r, err := h.reply(ctx, d)
	if err != nil {
		return err
	}
	if r.Code/100 != class {
		return asError(r)
	}
	return nil
}

// quit says goodbye without waiting for an answer, and closes.
func (h *hop) quit() {
	if h.nc.SetDeadline(time.Now().Add(time.Second)) == nil {
		// What becomes of it is of no interest any more.
		_, _ = h.nc.Write([]byte("QUIT\r\n"))
	}
	h.close()
}

func (h *hop) close() { _ = h.nc.Close() }
