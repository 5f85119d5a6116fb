package smtpd

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// dialTLS connects to a listener with implicit TLS.
func (w *world) dialTLS(c *tls.Config) *peer {
	w.t.Helper()
	tc := tls.Client(wiretest.Dial(w.t, w.addr), c)
	p := &peer{t: w.t, Conn: tc, r: bufio.NewReader(tc)}
	p.expect("220 ")
	return p
}

func network(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

// clientOf returns what the handler gets to know of the client of a message that p sends.
func (w *world) clientOf(p *peer) relay.Client {
	w.t.Helper()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	all := w.handler.Seen()
	return all[len(all)-1].Envelope.Client
}

// v2 is a header of version 2 for 192.0.2.77 and port 4660.
const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x4d\x7f\x00\x00\x01\x12\x34\x00\x19"

// A listed proxy says for whom it connects; nothing that its client sends can.
func TestPROXY(t *testing.T) {
	for name, tc := range map[string]struct{ header, addr string }{
		"version 1":          {"PROXY TCP4 192.0.2.77 127.0.0.1 4660 25\r\n", "192.0.2.77"},
		"version 1, IPv6":    {"PROXY TCP6 2001:db8::77 ::1 4660 25\r\n", "2001:db8::77"},
		"version 2":          {v2, "192.0.2.77"},
		"version 1, unknown": {"PROXY UNKNOWN\r\n", "invalid IP"},
		"version 2, local":   {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "invalid IP"},
		"loopback":           {"PROXY TCP4 127.0.0.1 127.0.0.1 4660 25\r\n", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := startFor(t, Config{Proxies: network("198.51.100.0/24")}, "198.51.100.1")
			c := wiretest.Dial(t, w.addr)
			p := &peer{t: t, Conn: c, r: bufio.NewReader(c)}
			p.send(tc.header)
			p.expect("220 ")
			// Others must not speak for those behind the proxy, whatever their address.
			p.do("EHLO client.example.org", "250 ")
			p.do("XFORWARD ADDR=203.0.113.1", "550 5.7.0")
			if got := w.clientOf(p).Addr.String(); got != tc.addr {
				t.Errorf("client %s, want %s", got, tc.addr)
			}
		})
	}
}

// From a listed proxy nothing is served without a header, and from others a header is no
// command.
func TestNoPROXY(t *testing.T) {
	for _, header := range []string{"EHLO x\r\n", "PROXY TCP4 192.0.2.77\r\n", "PROXY TCP4 192.0.2.777 127.0.0.1 1 2\r\n", "PROXY " + strings.Repeat("x", 200) + "\r\n", "\r\n\r\n\x00\r\nQUIT\n\xff\x11\x00\x0c"} {
		w := startFor(t, Config{Proxies: network("198.51.100.0/24")}, "198.51.100.1")
		c := wiretest.Dial(t, w.addr)
		if _, err := io.WriteString(c, header); err != nil {
			t.Fatal(err)
		}
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		if rest, _ := io.ReadAll(c); len(rest) > 0 {
			t.Errorf("%q: answer %q", header, rest)
		}
	}
	w := startFor(t, Config{Proxies: network("198.51.100.0/24")}, "192.0.2.1")
	p := w.dial()
	p.do("PROXY TCP4 192.0.2.77 127.0.0.1 4660 25", "500 ")
	if got := w.clientOf(p).Addr.String(); got != "192.0.2.1" {
		t.Errorf("client %s", got)
	}
}

// The clients of a proxy have the connections of their own address, and the proxy any
// number.
func TestConnectionsThroughPROXY(t *testing.T) {
	w := startFor(t, Config{Proxies: network("198.51.100.0/24"), Limits: Limits{PerAddress: 1}}, "198.51.100.1")
	connect := func(from string) *peer {
		c := wiretest.Dial(t, w.addr)
		p := &peer{t: t, Conn: c, r: bufio.NewReader(c)}
		p.send("PROXY TCP4 " + from + " 127.0.0.1 4660 25\r\n")
		return p
	}
	first := connect("192.0.2.1")
	first.expect("220 ")
	connect("192.0.2.2").expect("220 ")
	connect("192.0.2.1").expect("421 ")
	first.do("QUIT", "221 ")
	first.gone()
	wiretest.Until(t, "a free place", func() bool { return strings.HasPrefix(connect("192.0.2.1").reply(), "220 ") })
}

// XCLIENT is taken once, from listed hosts only, and what it says holds for TLS, too.
func TestXCLIENT(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	w := startFor(t, Config{XClient: network("198.51.100.0/24"), TLS: server}, "198.51.100.1")
	p := w.dial()
	if r := p.do("EHLO proxy.example.org", "250 "); !strings.Contains(r, "250-XCLIENT "+clientAttributes) || strings.Contains(r, "XFORWARD") {
		t.Errorf("EHLO %q", r)
	}
	for _, bad := range []string{"", "ADDR", "ADDR=300.0.0.1", "WHO=me", "LOGIN=a+0D+0Ab"} {
		p.do("XCLIENT "+bad, "501 5.5.4")
	}
	p.do("MAIL FROM:<a@example.org>", "250 ")
	p.do("XCLIENT ADDR=192.0.2.9", "503 5.5.1")
	p.do("RSET", "250 ")
	p.do("XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::9 HELO=the.client LOGIN=alice+40example.org", "220 gw.example.com")
	if r := p.do("EHLO proxy.example.org", "250 "); strings.Contains(r, "XCLIENT") {
		t.Errorf("XCLIENT is offered twice: %q", r)
	}
	p.do("XCLIENT ADDR=192.0.2.10", "550 5.7.0")
	want := relay.Client{Addr: netip.MustParseAddr("2001:db8::9"), Helo: "the.client", User: "alice@example.org"}
	if got := w.clientOf(p); got != want {
		t.Errorf("client %+v, want %+v", got, want)
	}
	p.do("STARTTLS", "220 ")
	p = p.secure(pool)
	want.TLS = true
	if got := w.clientOf(p); got != want {
		t.Errorf("after STARTTLS: client %+v, want %+v", got, want)
	}
	p.do("XCLIENT ADDR=192.0.2.10", "550 5.7.0")

	// An address that is not said is not that of the proxy, nor one of this host.
	p = w.dial()
	p.do("EHLO proxy.example.org", "250 ")
	p.do("XCLIENT HELO=x", "220 ")
	p.do("EHLO x", "250 ")
	p.do("XFORWARD ADDR=192.0.2.10", "550 5.7.0")
	if got := w.clientOf(p); got.Addr.IsValid() {
		t.Errorf("client %+v", got)
	}

	p = startFor(t, Config{XClient: network("198.51.100.0/24")}, "192.0.2.1").dial()
	p.do("EHLO x", "250 ")
	p.do("XCLIENT ADDR=192.0.2.9", "550 5.7.0")
}

// A certificate that the proxy shows after XCLIENT does not make its client the proxy.
func TestXCLIENTAndCertificate(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	server.ClientAuth = tls.RequestClientCert
	w := startFor(t, Config{XClient: network("198.51.100.0/24"), TLS: server, Identify: func(tls.ConnectionState) string { return "the proxy" }}, "198.51.100.1")
	p := w.dial()
	p.do("EHLO proxy.example.org", "250 ")
	p.do("XCLIENT ADDR=192.0.2.9", "220 ")
	p.do("EHLO proxy.example.org", "250 ")
	p.do("STARTTLS", "220 ")
	p = p.secure(pool)
	if r := p.do("EHLO proxy.example.org", "250 "); strings.Contains(r, "EXTERNAL") {
		t.Errorf("EHLO %q", r)
	}
	p.do("AUTH EXTERNAL =", "504 5.5.4")
	if got := w.clientOf(p); got.User != "" {
		t.Errorf("client %+v", got)
	}
}

// Implicit TLS: a greeting over TLS, and no STARTTLS.
func TestImplicitTLS(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	w := start(t, Config{TLS: server, Implicit: true})
	p := w.dialTLS(&tls.Config{RootCAs: pool, ServerName: "gw.example.com"})
	if r := p.do("EHLO client.example.org", "250 "); strings.Contains(r, "STARTTLS") || !strings.Contains(r, "REQUIRETLS") {
		t.Errorf("EHLO %q", r)
	}
	if got := w.clientOf(p); !got.TLS {
		t.Errorf("client %+v", got)
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c := tls.Client(wiretest.Dial(t, w.addr), &tls.Config{RootCAs: pool, ServerName: "gw.example.com", MinVersion: version, MaxVersion: version})
		if err := c.Handshake(); err == nil {
			t.Errorf("TLS version %x is spoken", version)
		}
	}
}

// The age of a connection counts between commands that the library does not see, too.
func TestTimeOfSessionWithinAUTH(t *testing.T) {
	w := start(t, Config{LMTP: true, Limits: Limits{Session: 50 * time.Millisecond}})
	p := w.dial()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		p.send("AUTH X\r\n")
		if strings.HasPrefix(p.reply(), "421 4.3.2") {
			return
		}
		<-tick.C
	}
	t.Error("the session goes on")
}

// deadlined keeps the deadline that was set last.
type deadlined struct {
	net.Conn
	last *time.Time
}

func (d deadlined) SetReadDeadline(t time.Time) error {
	*d.last = t
	return d.Conn.SetReadDeadline(t)
}

func (deadlined) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 1} }

// The deadline of the header does not hold for what comes behind it, such as TLS.
func TestDeadlineOfPROXY(t *testing.T) {
	s := NewServer(Config{Proxies: network("198.51.100.0/24"), Implicit: true})
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { _, _ = io.WriteString(theirs, "PROXY UNKNOWN\r\n") }()
	var last time.Time
	c := s.newClient(deadlined{ours, &last}).(*client)
	c.introduced()
	if !last.IsZero() || !c.proxied {
		t.Errorf("the deadline is %v", last)
	}
}

// A connection that has lasted too long is closed between two messages, and one on which
// a message comes too slowly in it.
func TestTimeOfSession(t *testing.T) {
	w := start(t, Config{Limits: Limits{Session: time.Nanosecond}})
	p := w.dial()
	p.expect("421 4.3.2")
	p.gone()

	w = start(t, Config{Limits: Limits{Rate: 1 << 20, Grace: time.Millisecond}})
	p = w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text)
	p.expect("451 ")
	if all := w.sink.All(); len(all) > 0 {
		t.Error("delivered what had not come")
	}
}
