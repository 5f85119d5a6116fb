package smtpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay/smtpd"
)

// TestLMTP: each recipient has an answer of its own (RFC 2033 section 4.2), and who has
// got one keeps it when the connection breaks before the others have.
func TestLMTP(t *testing.T) {
	for _, tt := range []struct {
		name, answers, want string
	}{
		{"each", "250 2.1.5 ok\r\n550 5.2.2 full\r\n451 4.2.0 later", "ok, 550 5.2.2, 451 4.2.0"},
		{"broken", "250 2.1.5 ok\r\nwhat", "ok, 451 4.4.1, 451 4.4.1"},
		{"closing", "250 2.1.5 ok\r\n421 4.3.2 closing\r\n!", "ok, 421 4.3.2, 451 4.4.1"},
		{"421 for one", "421 4.2.0 later\r\n250 2.1.5 ok\r\n550 5.2.2 full", "421 4.2.0, ok, 550 5.2.2"},
		{"421 for two", "421 4.2.0 later\r\n250 2.1.5 ok\r\n421 4.2.0 later", "421 4.2.0, ok, 421 4.2.0"},
		{"421, and closing", "421 4.2.0 later\r\n250 2.1.5 ok\r\n!", "421 4.2.0, 451 4.4.1, 451 4.4.1"},
		{"421, and closed in the end", "250 2.1.5 ok\r\n421 4.2.0 later\r\n250 2.1.5 ok\r\n!", "ok, 421 4.2.0, 451 4.4.1"},
		{"421, and one too many", "250 2.1.5 ok\r\n421 4.2.0 bye\r\n250 2.1.5 ok\r\n550 5.2.2 full", "451 4.4.1, 451 4.4.1, 451 4.4.1"},
	} {
		s := &server{t: t, offers: "PIPELINING, DSN", answer: func(_ int, line string) string {
			switch {
			case line == ".":
				return tt.answers
			case strings.HasPrefix(line, "EHLO"):
				return "500 speak LMTP"
			}
			return ""
		}}
		c := s.start(setup{Config: Config{LMTP: true}})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net", "d@example.net"))); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
		if len(s.data) != 1 || len(s.commands("LHLO ")) != 1 {
			t.Errorf("%s: %d messages, %q", tt.name, len(s.data), s.lines)
		}
	}
}

// An answer after 421 counts where the hop has no other for the last recipient.
func TestLMTPGoesOn(t *testing.T) {
	for rset, want := range map[string]string{"": "ok, 421 4.3.2, ok", "550 5.2.2 full": "ok, 421 4.3.2, 451 4.4.1", "421 4.3.2 bye": "ok, 421 4.3.2, 451 4.4.1"} {
		s := &server{t: t, answer: script(".", "250 2.1.5 ok\r\n421 4.3.2 closing\r\n250 2.1.5 ok", "RSET", rset)}
		c := s.start(setup{Config: Config{LMTP: true}})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net", "d@example.net"))); got != want {
			t.Errorf("%q to RSET: %s, want %s", rset, got, want)
		}
	}
}

// TestImplicitTLS: on a port where TLS begins at once nothing is sent before it.
func TestImplicitTLS(t *testing.T) {
	config, roots, _ := wiretest.Certificate(t)
	sink := &wiretest.Sink{}
	plain := wiretest.Start(t, smtpd.NewServer(smtpd.Config{
		Hostname: "gw.example.com", Handler: &wiretest.Handler{}, Queue: sink, Log: slog.New(slog.DiscardHandler),
	}))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", plain)
			if err != nil {
				nc.Close()
				return
			}
			go func() { _, _ = io.Copy(up, nc); up.Close() }()
			go func() { _, _ = io.Copy(nc, up); nc.Close() }()
		}
	}()
	cl := New(Config{Hostname: "client.example.com"})
	defer cl.Close()
	for address, want := range map[string]string{ln.Addr().String(): "ok", plain: "451 4.7.5"} {
		tr := NewTransfer(delivery(t, text, "a@example.org", "b@example.net"))
		cl.Deliver(t.Context(), Host{Address: address, TLS: Verified("127.0.0.1", roots, "x").Implicit()}, tr)
		if got := codes(tr.Results()); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if n := len(sink.All()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestConnectionsAreNotShared: what must be verified does not leave by a connection that
// was not.
func TestConnectionsAreNotShared(t *testing.T) {
	h := Host{Address: "192.0.2.1:25", Name: "mx.example.net"}
	keys := map[string]string{}
	for name, tls := range map[string]TLS{
		"off": {}, "opportunistic": Opportunistic("mx.example.net"), "encrypted": Encrypted("mx.example.net"),
		"verified": Verified("mx.example.net", nil, ""), "other name": Verified("mx.example.org", nil, ""), "other authority": Verified("mx.example.net", nil, "ca"),
		"proven": Proven("mx.example.net", nil, "311x"), "other records": Proven("mx.example.net", nil, "311y"),
		"implicit": Verified("mx.example.net", nil, "").Implicit(), "unbound": Verified("mx.example.net", nil, "").Unbound(),
		"by policy": Verified("mx.example.net", nil, "").WithPolicy("sts"),
	} {
		h.TLS = tls
		if other, ok := keys[h.key()]; ok {
			t.Errorf("%s and %s share connections", name, other)
		}
		keys[h.key()] = name
	}
}

// TestNoPasswordInTheOpen: a host on another machine that is not verified gets none.
func TestNoPasswordInTheOpen(t *testing.T) {
	asked := false
	auth := &Auth{Mechanism: Plain, User: "gw", Secret: func(context.Context) (string, error) { asked = true; return "x", nil }}
	for _, h := range []*hop{
		{host: Host{Address: "192.0.2.1:25"}},
		{host: Host{Address: "mx.example.net:25", TLS: Opportunistic("mx.example.net")}, secured: true},
		{host: Host{Address: "mx.example.net:25", TLS: Verified("mx.example.net", nil, "")}},
	} {
		h.extensions = map[string]string{"AUTH": "PLAIN"}
		if err := h.authenticate(t.Context(), auth); !errors.Is(err, errInTheOpen) || asked {
			t.Errorf("%s: %v", h.host.Address, err)
		}
	}
}

// TestOptions: a route may forbid pipelining, and bound the messages of a connection.
func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		config             Config
		group, connections int
	}{{Config{}, maxGroup, 1}, {Config{NoPipelining: true, PerConnection: 1}, 1, 3}} {
		s := &server{t: t, offers: "PIPELINING"}
		c := s.start(setup{Config: tt.config})
		for range 3 {
			if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "ok" {
				t.Fatal(got)
			}
		}
		h := &hop{client: c.Client, extensions: map[string]string{"PIPELINING": ""}}
		if s.conns != tt.connections || h.groupSize() != tt.group {
			t.Errorf("%+v: %d connections, %d commands at once", tt.config, s.conns, h.groupSize())
		}
	}
}

// TestSource: a connection comes from the address of the family of the host's.
func TestSource(t *testing.T) {
	c := New(Config{Sources: []netip.Addr{netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("::1")}})
	for address, want := range map[string]string{"127.0.0.1:25": "127.0.0.7:0", "[2001:db8::1]:25": "[::1]:0"} {
		if got := c.source(address); got == nil || got.String() != want {
			t.Errorf("%s: from %v", address, got)
		}
	}
	if got := New(Config{}).source("127.0.0.1:25"); got != nil {
		t.Errorf("from %v", got)
	}
}
