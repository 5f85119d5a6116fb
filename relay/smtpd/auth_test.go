package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// passwords knows alice, whose password is "secret"; it breaks for "broken".
type passwords struct{}

func (passwords) Check(_ context.Context, user, password string) (string, bool, error) {
	if user == "broken" {
		return "", false, errors.New("no answer")
	}
	return strings.ToLower(user), strings.EqualFold(user, "alice") && password == "secret", nil
}

// refusals is a Meter that counts them, and answers to messages.
type refusals struct {
	n, answered int
	listener    string
}

func (m *refusals) Refused(env *relay.Envelope, _ error) { m.n, m.listener = m.n+1, env.Listener }
func (m *refusals) Answered(relay.Tally)                 { m.answered++ }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// startLogins is a listener where clients log in in the clear, and need not wait.
func startLogins(t *testing.T, c Config) *world {
	t.Helper()
	c.Passwords, c.AuthInClear = passwords{}, true
	w := start(t, c)
	w.server.pause = func(context.Context, time.Duration) {}
	return w
}

func TestLogin(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string // of the client, each with the reply that it gets
		user  string
	}{
		"PLAIN":                    {[]string{"AUTH PLAIN " + b64("\x00alice\x00secret"), "235 2.7.0"}, "alice"},
		"PLAIN, later":             {[]string{"auth plain", "334 ", b64("Alice\x00alice\x00secret"), "235 2.7.0"}, "alice"},
		"LOGIN":                    {[]string{"AUTH LOGIN", "334 " + b64("Username:"), b64("ALICE"), "334 " + b64("Password:"), b64("secret"), "235 2.7.0"}, "alice"},
		"LOGIN with the name":      {[]string{"AUTH LOGIN " + b64("alice"), "334 " + b64("Password:"), b64("secret"), "235 2.7.0"}, "alice"},
		"wrong":                    {[]string{"AUTH PLAIN " + b64("\x00alice\x00wrong"), "535 5.7.8"}, ""},
		"empty password":           {[]string{"AUTH PLAIN " + b64("\x00alice\x00"), "535 5.7.8"}, ""},
		"unknown":                  {[]string{"AUTH PLAIN " + b64("\x00bob\x00secret"), "535 5.7.8"}, ""},
		"for another":              {[]string{"AUTH PLAIN " + b64("bob\x00alice\x00secret"), "535 5.7.8"}, ""},
		"cannot be checked":        {[]string{"AUTH PLAIN " + b64("\x00broken\x00secret"), "454 4.7.0"}, ""},
		"cancelled":                {[]string{"AUTH PLAIN", "334 ", "*", "501 5.5.2"}, ""},
		"no base64":                {[]string{"AUTH PLAIN !!!", "501 5.5.2"}, ""},
		"two parts":                {[]string{"AUTH PLAIN " + b64("alice\x00secret"), "501 5.5.2"}, ""},
		"four parts":               {[]string{"AUTH PLAIN " + b64("\x00alice\x00secret\x00x"), "501 5.5.2"}, ""},
		"empty":                    {[]string{"AUTH PLAIN =", "501 5.5.2"}, ""},
		"unknown mechanism":        {[]string{"AUTH CRAM-MD5", "504 5.5.4"}, ""},
		"no mechanism":             {[]string{"AUTH", "504 5.5.4"}, ""},
		"EXTERNAL, no certificate": {[]string{"AUTH EXTERNAL =", "504 5.5.4"}, ""},
		"twice":                    {[]string{"AUTH PLAIN " + b64("\x00alice\x00secret"), "235 ", "AUTH PLAIN " + b64("\x00alice\x00secret"), "503 5.5.1"}, "alice"},
		"in a transaction":         {[]string{"MAIL FROM:<a@example.org>", "250 ", "AUTH PLAIN " + b64("\x00alice\x00secret"), "503 5.5.1", "RSET", "250 "}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := startLogins(t, Config{})
			p := w.dial()
			p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "503 5.5.1") // before EHLO
			if r := p.do("EHLO client.example.org", "250 "); !strings.Contains(r, "250-AUTH PLAIN LOGIN\r\n") {
				t.Errorf("AUTH is not offered: %q", r)
			}
			for i := 0; i < len(tc.lines); i += 2 {
				p.do(tc.lines[i], tc.lines[i+1])
			}
			p.envelope("", "b@example.net")
			p.do("DATA", "354 ")
			p.send(text + ".\r\n")
			p.expect("250 ")
			if got := w.handler.Seen()[0].Envelope.Client.User; got != tc.user {
				t.Errorf("user %q, want %q", got, tc.user)
			}
		})
	}
}

// Passwords go over TLS only, unless the listener says otherwise, and what was said
// before STARTTLS is forgotten.
func TestLoginNeedsTLS(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	w := start(t, Config{TLS: server, Passwords: passwords{}})
	p := w.dial()
	if r := p.do("EHLO client.example.org", "250 "); strings.Contains(r, "AUTH") {
		t.Errorf("AUTH in the clear: %q", r)
	}
	p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "538 5.7.11")
	p.do("STARTTLS", "220 ")
	p = p.secure(pool)
	p.do("EHLO client.example.org", "250 ")
	p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "235 ")

	w = startLogins(t, Config{TLS: server})
	p = w.dial()
	p.do("EHLO client.example.org", "250 ")
	p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "235 ")
	p.do("STARTTLS", "220 ")
	p = p.secure(pool)
	p.do("EHLO client.example.org", "250 ")
	p.envelope("", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	if got := w.handler.Seen()[0].Envelope.Client.User; got != "" {
		t.Errorf("user %q after STARTTLS", got)
	}
}

// A password never reaches the log, whatever the client makes of the command.
func TestPasswordIsNotLogged(t *testing.T) {
	log := &wiretest.Log{}
	w := startLogins(t, Config{Log: log.Logger()})
	p := w.dial()
	secret := b64("\x00alice\x00hunter2")
	p.do("EHLO client.example.org", "250 ")
	p.do("AUTH PLAIN "+secret, "535 ")
	p.do("AUTH  PLAIN\t"+secret, "535 ")
	p.do("AUTH CRAM "+secret, "504 ")
	p.do(secret, "500 ")
	p.do("AUTH "+b64("hunter2"), "504 ")
	p.do("AUTH LOGIN !", "501 ")
	p.do(b64("alice"), "500 ")
	p.do(b64("hunter2"), "500 ")
	p.do("AUTH PLAIN", "334 ")
	p.do(secret, "535 ")
	p.do("AUTH LOGIN", "334 ")
	p.do(b64("alice"), "334 ")
	p.do(b64("hunter2"), "535 ")
	p.do("QUIT", "221 ")
	p.gone()
	for _, bad := range []string{secret, "hunter2", b64("hunter2"), b64("alice")} {
		if strings.Contains(strings.ToUpper(log.String()), strings.ToUpper(bad)) {
			t.Errorf("the log has %q:\n%s", bad, log)
		}
	}
	if !strings.Contains(log.String(), `at=(hidden) command=(hidden) reply="500 `) {
		t.Errorf("no refused line in the log:\n%s", log)
	}
	if !strings.Contains(log.String(), "failures=4") {
		t.Errorf("failures are not counted:\n%s", log)
	}
}

// Failed logins slow the client down, and after too many from its address no password is
// checked any more, also not the right one, until some time has passed.
func TestFailedLogins(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var waited []time.Duration
	m := &refusals{}
	w := start(t, Config{Passwords: passwords{}, AuthInClear: true, Meter: m})
	w.server.pause = func(_ context.Context, d time.Duration) { waited = append(waited, d) }
	w.server.failures.clock = func() time.Time { return now }
	p := w.dial()
	p.do("EHLO client.example.org", "250 ")
	for range maxFailures {
		p.do("AUTH PLAIN "+b64("\x00alice\x00wrong"), "535 5.7.8")
	}
	if fmt.Sprint(waited[:5]) != "[1s 2s 4s 8s 8s]" || len(waited) != maxFailures {
		t.Errorf("waited %v", waited)
	}
	p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "454 4.7.0")
	if m.n != maxFailures+1 || m.listener != "door" {
		t.Errorf("%d refusals are counted, by %q", m.n, m.listener)
	}
	now = now.Add(failureMemory)
	p.do("AUTH PLAIN "+b64("\x00alice\x00secret"), "235 ")
}

// guesses counts the passwords that are checked, all of them wrong.
type guesses struct{ n atomic.Int64 }

func (g *guesses) Check(context.Context, string, string) (string, bool, error) {
	g.n.Add(1)
	return "", false, nil
}

// Guesses over many connections at once are no more than over one.
func TestGuessesInParallel(t *testing.T) {
	g := &guesses{}
	w := start(t, Config{Passwords: g, AuthInClear: true})
	w.server.pause = func(context.Context, time.Duration) {}
	// Each began when nothing had failed yet.
	from := netip.MustParseAddr("127.0.0.1")
	for range maxFailures - 1 {
		if !w.server.failures.begin(from) {
			t.Fatal("refused without a failure")
		}
	}
	var clients sync.WaitGroup
	for range 10 {
		p := w.dial()
		p.do("EHLO client.example.org", "250 ")
		clients.Go(func() {
			p.send("AUTH PLAIN " + b64("\x00alice\x00wrong") + "\r\n")
			p.expect("")
		})
	}
	wiretest.Until(t, "a check", func() bool { return g.n.Load() > 0 })
	for range maxFailures - 1 {
		w.server.failures.add(from)
		w.server.failures.settle(from)
	}
	clients.Wait()
	if n := g.n.Load(); n != 1 {
		t.Errorf("%d passwords are checked after %d", n, maxFailures-1)
	}
	if len(w.server.failures.checks) > 0 {
		t.Errorf("checks %v", w.server.failures.checks)
	}
}

// What is remembered is bounded, and IPv6 counts by network.
func TestFailuresAreBounded(t *testing.T) {
	f := newFailures(time.Now)
	first := netip.MustParseAddr("10.0.0.1")
	f.add(first)
	for i := range maxRemembered {
		f.add(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(f.known) != maxRemembered || f.order.Len() != maxRemembered || f.failed(wire.Origin(first)) != 0 {
		t.Errorf("%d addresses are known, %d failures of the first", len(f.known), f.failed(wire.Origin(first)))
	}
	f.add(netip.MustParseAddr("2001:db8::1"))
	if n := f.add(netip.MustParseAddr("2001:db8::2:3:4:5")); n != 2 {
		t.Errorf("%d failures of an IPv6 network", n)
	}
	if n := f.add(netip.MustParseAddr("::ffff:11.0.0.9")); n != 2 {
		t.Errorf("%d failures of a mapped address", n)
	}
	f.add(netip.Addr{})
	if n := f.failed(wire.Origin(netip.Addr{})); n != 1 {
		t.Errorf("%d failures of clients without an address", n)
	}
}

// The holder of an admitted certificate is authenticated, with AUTH EXTERNAL and
// without.
func TestClientCertificate(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	server.ClientAuth = tls.RequestClientCert
	mine, _, _ := wiretest.Certificate(t)
	identify := func(s tls.ConnectionState) string {
		if len(s.PeerCertificates) == 0 {
			return ""
		}
		return s.PeerCertificates[0].Subject.CommonName
	}
	w := start(t, Config{TLS: server, Implicit: true, Identify: identify})
	for _, tc := range []struct {
		certificates []tls.Certificate
		auth, reply  string
		user         string
	}{
		{mine.Certificates, "", "", "gw.example.com"},
		{mine.Certificates, "AUTH EXTERNAL =", "235 ", "gw.example.com"},
		{mine.Certificates, "AUTH EXTERNAL " + b64("GW.example.com"), "235 ", "gw.example.com"},
		{nil, "AUTH EXTERNAL =", "504 5.5.4", ""},
		{nil, "", "", ""},
	} {
		p := w.dialTLS(&tls.Config{RootCAs: pool, ServerName: "gw.example.com", Certificates: tc.certificates})
		if r := p.do("EHLO client.example.org", "250 "); strings.Contains(r, "AUTH EXTERNAL") != (tc.certificates != nil) {
			t.Errorf("EHLO %q", r)
		}
		if tc.auth != "" {
			p.do(tc.auth, tc.reply)
		}
		p.envelope("", "b@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 ")
		p.do("QUIT", "221 ")
		all := w.handler.Seen()
		if want := map[bool]string{true: " with ESMTPSA id ", false: " with ESMTPS id "}[tc.user != ""]; !strings.Contains(all[len(all)-1].Text, want) {
			t.Errorf("no %q in %q", want, all[len(all)-1].Text)
		}
		if got := all[len(all)-1].Envelope.Client; got.User != tc.user || !got.TLS {
			t.Errorf("%q: client %+v", tc.auth, got)
		}
	}
	w.server.pause = func(context.Context, time.Duration) {}
	p := w.dialTLS(&tls.Config{RootCAs: pool, ServerName: "gw.example.com", Certificates: mine.Certificates})
	p.do("EHLO client.example.org", "250 ")
	p.do("AUTH EXTERNAL "+b64("other"), "535 5.7.8")
}
