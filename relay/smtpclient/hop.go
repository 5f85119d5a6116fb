package smtpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// hop is a connection to the next hop, greeted and secured.
type hop struct {
	client     *Client
	host       Host
	secured    bool
	wire       *wire // what nc is, or what is under its TLS
	nc         net.Conn
	r          *bufio.Reader
	w          *bufio.Writer
	greeted    string            // the name that the hop gives itself
	extensions map[string]string // by upper-case keyword (RFC 5321 section 4.1.1.1)

	// chunking says that the message of this transaction goes by BDAT, and begun that its
	// first octet has; chunked that the server has answered a BDAT well, and trying that it
	// has the first and no answer yet.
	chunking, begun, chunked, trying bool

	allowance *allowance // of the attempt under way

	messages  int             // transactions over it
	domains   map[string]bool // of their recipients
	committed bool
	timer     *time.Timer // closes it when idle
}

var (
	errHandshake = errors.New("TLS handshake failed")
	errClosed    = errors.New("next hop closed the connection")
	errOutOfStep = errors.New("next hop answered what it was not asked")
	// errElsewhere ends a transaction after which the connection is as good as before,
	// and another server may take the message.
	errElsewhere = errors.New("another server may take the message")
)

// ErrNoTLS means that TLS is required and not offered (RFC 8460 section 4.3.1:
// starttls-not-supported).
var ErrNoTLS = errors.New("the next hop does not offer STARTTLS, which is required")

// dial connects, secures the connection as the host asks, and logs in.
func (c *Client) dial(ctx context.Context, host Host, a *allowance) (*hop, error) {
	network, address := host.network()
	wait, err := a.cap(c.timeouts.connect)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: wait, LocalAddr: c.source(address)}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w, err := newWire(nc)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	h := &hop{client: c, host: host, domains: map[string]bool{}, wire: w, allowance: a}
	h.use(w)
	if err = h.secure(ctx); err == nil && c.config.Auth != nil {
		stop := h.watch(ctx)
		err = h.authenticate(ctx, c.config.Auth)
		stop()
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// source is where to connect to address from; nil is wherever the system likes.
func (c *Client) source(address string) net.Addr {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil
	}
	for _, a := range c.config.Sources {
		if a.Is4() == to.Addr().Unmap().Is4() {
			return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
		}
	}
	return nil
}

func (h *hop) use(nc net.Conn) {
	h.nc = nc
	// New buffers: what came in the clear must not be read as secured (RFC 3207
	// section 4.2).
	h.r, h.w = bufio.NewReaderSize(nc, maxLine), bufio.NewWriterSize(nc, 64<<10)
}

// secure greets the server and starts TLS where the host asks for it.
func (h *hop) secure(ctx context.Context) error {
	defer h.watch(ctx)()
	t := h.host.TLS
	if t.implicit {
		if err := h.handshake(ctx); err != nil {
			return err
		}
	}
	if err := h.expect(ctx, h.client.timeouts.command, 2); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := h.hello(ctx); err != nil {
		return err
	}
	if t.config == nil || t.implicit {
		return nil
	}
	if !h.offers("STARTTLS") {
		if !t.required {
			return nil
		}
		h.opened(ErrNoTLS)
		return ErrNoTLS
	}
	r, err := h.command(ctx, h.client.timeouts.command, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		err := fmt.Errorf("%w: %w", errHandshake, asError(r))
		h.opened(err)
		return err
	}
	// What follows in the clear may be of another than the hop (RFC 3207 section 6).
	if err := h.inStep(); err != nil {
		return err
	}
	if err := h.handshake(ctx); err != nil {
		return err
	}
	return h.hello(ctx)
}

func (h *hop) handshake(ctx context.Context) error {
	wait, err := h.allowance.cap(h.client.timeouts.command)
	if err != nil {
		return err
	}
	tc := tls.Client(h.nc, h.host.TLS.config)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err = tc.HandshakeContext(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", errHandshake, err)
	}
	h.secured = err == nil
	if err == nil || !h.allowance.over() { // else it may have been cut off
		h.opened(err)
	}
	h.use(tc)
	return err
}

func (h *hop) opened(err error) {
	if f := h.client.config.Opened; f != nil {
		f(h.host, h.secured, err)
	}
}

// verified reports whether the server has proved over TLS who it is.
func (h *hop) verified() bool { return h.secured && h.host.TLS.verified }

// trusted reports whether the server is also the one that the domain of the recipient
// chose, for all that is known.
func (h *hop) trusted() bool { return h.verified() && !h.host.TLS.unbound }

// hello says EHLO, or HELO to a hop that does not know it. There is no such choice in
// LMTP (RFC 2033 section 4.1).
func (h *hop) hello(ctx context.Context) error {
	h.extensions = map[string]string{}
	verb := "EHLO "
	if h.client.config.LMTP {
		verb = "LHLO "
	}
	lines, r, err := h.commandLines(ctx, h.client.timeouts.command, verb+h.client.config.Hostname)
	if err != nil {
		return err
	}
	if (r.Code == 500 || r.Code == 502) && !h.client.config.LMTP {
		if r, err = h.command(ctx, h.client.timeouts.command, "HELO "+h.client.config.Hostname); err != nil {
			return err
		}
		lines = nil
	}
	if r.Code/100 != 2 {
		return fmt.Errorf("%s: %w", strings.TrimSpace(verb), asError(r))
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
	d, err := h.allowance.cap(d)
	if err != nil {
		return err
	}
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
	if err := h.inStep(); err != nil {
		return err
	}
	for _, s := range group {
		if strings.ContainsAny(s.line, "\r\n") {
			return fmt.Errorf("command %q: line end inside", s.line)
		}
		if _, err := h.w.WriteString(s.line + "\r\n" + string(s.chunk)); err != nil {
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
