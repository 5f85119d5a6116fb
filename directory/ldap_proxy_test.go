package directory

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

func TestFaultsAreUnknownAndEndByThemselves(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	const limit = time.Second
	for name, fault := range map[string]slapdtest.Fault{
		"reset at once":        slapdtest.Cut(0),
		"reset in the length":  slapdtest.Cut(2),
		"reset in mid-answer":  slapdtest.Cut(200),
		"silent":               slapdtest.Stall(0),
		"silent in mid-answer": slapdtest.Stall(200),
		"too slow":             slapdtest.Slow(1, 50*time.Millisecond),
		"2 GiB":                slapdtest.Huge,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := slapdtest.StartProxy(t, s.Addr())
			clock := newFakeClock()
			l := openLDAP(t, LDAPConfig{URLs: []string{p.URL()}, Timeout: limit, Clock: clock.Now})
			d := open(t, Config{Sources: sources(l)})
			expect := func(step string, want Outcome) {
				t.Helper()
				if r := d.LookupFresh(t.Context(), addr(t, bob)); r.Outcome != want {
					t.Errorf("%s: %s, want %s: %v", step, r.Outcome, want, r.Answers)
				}
			}
			p.Set(fault)
			expect("first", Unknown)
			expect("second", Unknown)
			p.Set(slapdtest.Pass)
			expect("recovered", Usable)
			before := p.Connections()
			expect("again", Usable)
			if p.Connections() != before {
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
	p := slapdtest.StartProxy(t, s.Addr())
	p.Set(slapdtest.Slow(200, 5*time.Millisecond))
	want(t, openLDAP(t, LDAPConfig{URLs: []string{p.URL()}}), bob, cert)
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	p := slapdtest.StartProxy(t, s.Addr())
	const limit = 3
	l := openLDAP(t, LDAPConfig{URLs: []string{p.URL()}, Connections: limit, Timeout: 30 * time.Second})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { want(t, l, bob, cert) })
	}
	all.Wait()
	if n := p.Connections(); n > limit {
		t.Errorf("%d connections, want at most %d", n, limit)
	}
}

func TestCloseEndsOperations(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	h := slapdtest.StartHostile(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		close(asked)
	})
	l := openLDAP(t, LDAPConfig{URLs: []string{h.URL()}, Timeout: time.Minute})
	done := make(chan error)
	go func() {
		_, err := l.Find(t.Context(), addr(t, bob))
		done <- err
	}()
	<-asked // and so the operation has its connection
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || strings.Contains(err.Error(), "no answer within") {
		t.Errorf("it was not ended: %v", err)
	}
}

func TestConnectionThatAFirewallForgotIsNotReliedOn(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	p := slapdtest.StartProxy(t, s.Addr())
	var muted atomic.Bool
	p.Set(func(client, server net.Conn) {
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
	l := openLDAP(t, LDAPConfig{URLs: []string{p.URL()}, Timeout: 8 * time.Second, Clock: clock.Now})
	want(t, l, bob, cert)
	muted.Store(true)
	p.Set(slapdtest.Pass)
	clock.advance(idleCheck)
	want(t, l, bob, cert)
	if n := p.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestRefusedCredentialsAreNotTriedOnAndOn(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	p := slapdtest.StartProxy(t, s.Addr())
	l := openLDAP(t, LDAPConfig{
		URLs: []string{p.URL()}, Clock: newFakeClock().Now,
		BindDN: slapdtest.AdminDN, PasswordFile: writeFile(t, "wrong", []byte("guess")),
	})
	for range 10 {
		if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("found %v", f)
		}
	}
	if n := p.Connections(); n != breakAfter {
		t.Errorf("%d binds, want %d: an account may be locked for it", n, breakAfter)
	}
}
