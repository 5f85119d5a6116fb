package directory

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

// fakeResolver answers every query alike and keeps the last one.
type fakeResolver struct {
	records []*net.SRV
	err     error
	calls   atomic.Int64
	asked   string
}

func (r *fakeResolver) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	r.calls.Add(1)
	r.asked = "_" + service + "._" + proto + "." + name
	return "", r.records, r.err
}

func TestLDAPServersOfADomain(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	dead := slapdtest.StartHostile(t, func(c net.Conn) { c.Close() }).Addr()
	clock := newFakeClock()
	r := &fakeResolver{err: errDown}
	l := openLDAP(t, LDAPConfig{URLs: []string{"ldap:///" + slapdtest.Suffix}, Resolver: r, Clock: clock.Now})
	if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("no servers known, found %v", f)
	}
	if _, err := l.Find(t.Context(), addr(t, bob)); err == nil || r.calls.Load() != 1 {
		t.Errorf("asked again at once: %v, %d times", err, r.calls.Load())
	}
	clock.advance(restFirst)
	r.err = nil
	r.records = []*net.SRV{
		{Target: "127.0.0.1.", Port: uint16(dead.Port)},
		{Target: "127.0.0.1.", Port: uint16(s.Port)},
	}
	want(t, l, bob, cert)
	want(t, l, bob, cert)
	if r.asked != "_ldap._tcp.example.org" || r.calls.Load() != 2 {
		t.Errorf("asked %s, %d times", r.asked, r.calls.Load())
	}
	r.err = errDown
	clock.advance(resolveAfter)
	want(t, l, bob, cert)
	if r.calls.Load() != 3 {
		t.Errorf("asked %d times", r.calls.Load())
	}
	r.err = nil
	r.records = r.records[:1]
	clock.advance(restFirst)
	if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("only the dead server is left, found %v", f)
	}
}

func TestDomainWithoutTheServiceHasNoServers(t *testing.T) {
	t.Parallel()
	r := &fakeResolver{records: []*net.SRV{{Target: ".", Port: 389}}}
	l := openLDAP(t, LDAPConfig{URLs: []string{"ldap:///dc=example"}, Resolver: r})
	if f, err := l.Find(t.Context(), addr(t, bob)); err == nil || !strings.Contains(err.Error(), "says that there are none") {
		t.Errorf("%v, %v", f, err)
	}
}

// TestNoServerIsNotNone: no server answered.
func TestNoServerIsNotNone(t *testing.T) {
	t.Parallel()
	l := openLDAP(t, LDAPConfig{URLs: []string{"ldap:///dc=example"}, Resolver: &fakeResolver{}})
	for _, when := range []string{"no records", "closed"} {
		if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("%s: %v", when, f)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNameFromDNSIsTrustedOnlyWithinTheDomain(t *testing.T) {
	t.Parallel()
	cfg := LDAPConfig{}
	setLDAPDefaults(&cfg)
	d := newDomainServers(target{domain: "Corp.example"}, nil, cfg)
	for target, want := range map[string]string{
		"dc1.corp.example.": "dc1.corp.example",
		"evil.test.":        "Corp.example",
		"xcorp.example.":    "Corp.example",
	} {
		if got := d.server(&net.SRV{Target: target, Port: 1}).target.host; got != want {
			t.Errorf("%s: certificate must bear %q, want %q", target, got, want)
		}
	}
}
