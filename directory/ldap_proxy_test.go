package directory

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

// proxy stands between us and a server and treats its answers as it is told.
type proxy struct {
	*hostile
	server string
	// answer copies from the server to the client; it may be exchanged.
	answer atomic.Pointer[func(client, server net.Conn)]
}

func startProxy(tb testing.TB, server string) *proxy {
	tb.Helper()
	p := &proxy{server: server}
	p.set(pass)
	p.hostile = startHostile(tb, p.serve)
	return p
}

func (p *proxy) set(answer func(client, server net.Conn)) { p.answer.Store(&answer) }

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		client.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client) // ends with either connection
		server.Close()
	})
	(*p.answer.Load())(client, server)
	both.Wait()
}

func pass(client, server net.Conn) {
	_, _ = io.Copy(client, server)
	client.Close()
}

// cut hands over n octets and then resets the connection.
func cut(n int64) func(client, server net.Conn) {
	return func(client, server net.Conn) {
		_, _ = io.CopyN(client, server, n)
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
	}
}

// stall hands over n octets and then nothing.
func stall(n int64) func(client, server net.Conn) {
	return func(client, server net.Conn) {
		_, _ = io.CopyN(client, server, n)
		_, _ = io.Copy(io.Discard, server)
	}
}

// slow hands over n octets at a time with a pause after each.
func slow(n int64, pause time.Duration) func(client, server net.Conn) {
	return func(client, server net.Conn) {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			if _, err := io.CopyN(client, server, n); err != nil {
				return
			}
			<-tick.C
		}
	}
}

func TestFaultsAreUnknownAndEndByThemselves(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	const limit = time.Second
	for name, fault := range map[string]func(client, server net.Conn){
		"reset at once":        cut(0),
		"reset in the length":  cut(2),
		"reset in mid-answer":  cut(200),
		"silent":               stall(0),
		"silent in mid-answer": stall(200),
		"too slow":             slow(1, 50*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, s.Addr())
			clock := newFakeClock()
			l := openLDAP(t, LDAPConfig{URLs: []string{p.url()}, Timeout: limit, Clock: clock.Now})
			d := open(t, Config{Sources: sources(l)})
			expect := func(step string, want Outcome) {
				t.Helper()
				start := time.Now()
				if r := d.LookupFresh(t.Context(), addr(t, bob)); r.Outcome != want {
					t.Errorf("%s: %s, want %s: %v", step, r.Outcome, want, r.Answers)
				}
				if took := time.Since(start); took > 10*limit {
					t.Errorf("%s: took %s", step, took)
				}
			}
			p.set(fault)
			expect("first", Unknown)
			expect("second", Unknown)
			p.set(pass)
			expect("recovered", Usable)
			before := p.connections()
			expect("again", Usable)
			if p.connections() != before {
				t.Error("a good connection was not used again")
			}
		})
	}
}

func TestSlowAnswerWithinTheLimitIsGood(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	p := startProxy(t, s.Addr())
	p.set(slow(200, 5*time.Millisecond))
	want(t, openLDAP(t, LDAPConfig{URLs: []string{p.url()}}), bob, cert)
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	p := startProxy(t, s.Addr())
	const limit = 3
	l := openLDAP(t, LDAPConfig{URLs: []string{p.url()}, Connections: limit, Timeout: 30 * time.Second})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { want(t, l, bob, cert) })
	}
	all.Wait()
	if n := p.connections(); n > limit {
		t.Errorf("%d connections, want at most %d", n, limit)
	}
}

func TestCloseEndsOperations(t *testing.T) {
	t.Parallel()
	h := startHostile(t, hold)
	l := openLDAP(t, LDAPConfig{URLs: []string{h.url()}, Timeout: time.Minute})
	done := make(chan error)
	go func() {
		_, err := l.Find(t.Context(), addr(t, bob))
		done <- err
	}()
	for h.connections() == 0 || !inUse(l) {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("no error")
	}
}

// inUse reports whether an operation has a connection.
func inUse(l *LDAP) bool {
	s := l.servers[0].(*server)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots[0].conn != nil
}

func TestConnectionThatAFirewallForgotIsNotReliedOn(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	p := startProxy(t, s.Addr())
	var muted atomic.Bool
	p.set(func(client, server net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if !muted.Load() {
				_, _ = client.Write(buf[:n])
			}
		}
	})
	clock := newFakeClock()
	l := openLDAP(t, LDAPConfig{URLs: []string{p.url()}, Timeout: 8 * time.Second, Clock: clock.Now})
	want(t, l, bob, cert)
	muted.Store(true)
	p.set(pass)
	clock.advance(idleCheck)
	want(t, l, bob, cert)
	if n := p.connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestRefusedCredentialsAreNotTriedOnAndOn(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	p := startProxy(t, s.Addr())
	l := openLDAP(t, LDAPConfig{
		URLs: []string{p.url()}, Clock: newFakeClock().Now,
		BindDN: slapdtest.AdminDN, PasswordFile: writeFile(t, "wrong", []byte("guess")),
	})
	for range 10 {
		if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("found %v", f)
		}
	}
	if n := p.connections(); n != breakAfter {
		t.Errorf("%d binds, want %d: an account may be locked for it", n, breakAfter)
	}
}
