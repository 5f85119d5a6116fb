package directory

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
)

var loopbackNetwork = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func lookupAt(tb testing.TB, server string) *dns.Lookup {
	tb.Helper()
	r, err := dns.New(dns.Config{Server: server})
	if err != nil {
		tb.Fatal(err)
	}
	return dns.NewLookup(r)
}

// zoneOf is a zone whose LDAP servers are at these ports of this host, in their order.
func zoneOf(name string, ports ...int) dnstest.Zone {
	z := dnstest.Zone{Name: name, Unsigned: true, Records: []string{"ldap IN A 127.0.0.1"}}
	for i, port := range ports {
		z.Records = append(z.Records, fmt.Sprintf("_ldap._tcp IN SRV %d 0 %d ldap", i, port))
	}
	return z
}

// TestDomainLDAP finds people in the directory of their domain, and no one where there is
// none; what is not known is an error.
func TestDomainLDAP(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	certs := map[string][]*x509.Certificate{}
	for _, a := range []string{"bob@dir.test", "bob@second.test", "bob@private.test", "bob@ports.test"} {
		certs[a] = []*x509.Certificate{issue(t, a, 0)}
		s.AddPerson(t, a, certs[a][0])
	}
	dead := slapdtest.StartHostile(t, func(c net.Conn) { c.Close() }).Addr().Port
	silent := slapdtest.StartHostile(t, slapdtest.Hold).Addr().Port
	bogus := zoneOf("bogus.test", s.Port)
	bogus.Unsigned, bogus.Expired = false, true
	servers := dnstest.Start(t,
		zoneOf("dir.test", s.Port), zoneOf("second.test", dead, s.Port), zoneOf("dead.test", dead), zoneOf("silent.test", silent), zoneOf("none.test"),
		dnstest.Zone{Name: "no.test", Unsigned: true, Records: []string{"_ldap._tcp IN SRV 0 0 389 ."}},
		zoneOf("ports.test", 25, s.Port), zoneOf("mail.test", 25), bogus)
	d, err := NewDomainLDAP(DomainLDAPConfig{Name: "theirs", DNS: lookupAt(t, servers.Validating), Allowed: loopbackNetwork, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]struct {
		found bool
		note  string
		err   string
	}{
		"bob@dir.test":    {found: true},
		"BOB@dir.test":    {found: true},
		"absent@dir.test": {},
		"bob@second.test": {found: true, note: `server "ldap.second.test"`},
		"bob@dead.test":   {err: `server "ldap.dead.test"`},
		"bob@silent.test": {err: "no answer within 1s"},
		"bob@none.test":   {},
		"bob@no.test":     {},
		"bob@ports.test":  {found: true, note: "not one of such a service"},
		"bob@mail.test":   {note: "not one of such a service"},
		"bob@bogus.test":  {err: "SERVFAIL"},
		"bob@[127.0.0.1]": {},
	} {
		f, err := d.Find(t.Context(), addr(t, a))
		var expect []*x509.Certificate
		if want.found {
			expect = certs[strings.ToLower(a)]
		}
		if !slices.EqualFunc(f.Certificates, expect, (*x509.Certificate).Equal) || !strings.Contains(strings.Join(f.Notes, "; "), want.note) ||
			(err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: %d certificates, %q, %v", a, len(f.Certificates), f.Notes, err)
		}
	}
}

// TestDomainLDAPAsksNoServerOfTheHouse: a domain that names servers inside has no
// directory, and these hear nothing.
func TestDomainLDAPAsksNoServerOfTheHouse(t *testing.T) {
	t.Parallel()
	var heard atomic.Bool
	inside := slapdtest.StartHostile(t, func(c net.Conn) {
		heard.Store(true)
		c.Close()
	}).Addr().Port
	servers := dnstest.Start(t, zoneOf("inside.test", inside))
	d, err := NewDomainLDAP(DomainLDAPConfig{DNS: lookupAt(t, servers.Validating)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Find(t.Context(), addr(t, "bob@inside.test"))
	if err != nil || len(f.Certificates) > 0 || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "address is not a public one") {
		t.Errorf("%+v, %v", f, err)
	}
	if heard.Load() {
		t.Error("the server was asked")
	}
}

// TestServersTakeTheirTurns: the better priority comes first, all of one come first at some time,
// and what is no server, or too many, is left out.
func TestServersTakeTheirTurns(t *testing.T) {
	t.Parallel()
	list := []dns.SRV{{Host: "last", Port: 1, Priority: 9}, {Host: "a", Port: 1, Weight: 1}, {Host: "b", Port: 1, Weight: 1}, {Host: ""}, {Host: "x"}, {Host: "more", Port: 1, Priority: 10}}
	first := map[string]bool{}
	for range 200 {
		turns := inTurn(list)
		if len(turns) != maxDomainServers || turns[2].Host != "last" {
			t.Fatalf("%+v", turns)
		}
		first[turns[0].Host] = true
	}
	if !first["a"] || !first["b"] {
		t.Errorf("first were %v", first)
	}
}

// askDirectly asks one server, without the DNS that names it.
func askDirectly(t *testing.T, port int) (Finding, error) {
	t.Helper()
	d, err := NewDomainLDAP(DomainLDAPConfig{Name: "theirs", Allowed: loopbackNetwork, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	d.dialer.connect = nil
	return d.ask(t.Context(), dns.SRV{Host: "127.0.0.1", Port: uint16(port)}, addr(t, bob))
}

// TestPartOfADirectory: where not all of it could be searched, nothing found is not known to be
// nothing there.
func TestPartOfADirectory(t *testing.T) {
	t.Parallel()
	c := issue(t, bob, 0)
	withContexts := func(n, found int) int {
		return scriptedFilter(t, func(base, _ string, _ []string) []*ldap.Entry {
			if base == "" {
				var list []string
				for i := range n {
					list = append(list, fmt.Sprintf("dc=%d", i))
				}
				return []*ldap.Entry{ldap.NewEntry("", map[string][]string{"namingContexts": list})}
			}
			if base != fmt.Sprintf("dc=%d", found) {
				return nil
			}
			return []*ldap.Entry{ldap.NewEntry("cn=bob,"+base, map[string][]string{"userCertificate;binary": {string(c.Raw)}})}
		}).Addr().Port
	}
	denied := slapdtest.Start(t, slapdtest.Config{Extra: "access to * by anonymous disclose"})
	denied.AddPerson(t, bob, c)
	for name, want := range map[string]struct {
		port, found int
		err         error
	}{
		"all searched":        {withContexts(maxNamingContexts, -1), 0, nil},
		"found in the last":   {withContexts(maxNamingContexts, maxNamingContexts-1), 1, nil},
		"more contexts":       {withContexts(maxNamingContexts+1, -1), 0, errPart},
		"found in the first":  {withContexts(maxNamingContexts+1, 0), 1, nil},
		"a context is denied": {denied.Port, 0, errPart},
	} {
		f, err := askDirectly(t, want.port)
		if len(f.Certificates) != want.found || !errors.Is(err, want.err) {
			t.Errorf("%s: %d certificates, %v", name, len(f.Certificates), err)
		}
	}
}

// TestAnswersOfADomainAreBounded: in all, and not each for itself, as they are chosen by strangers.
func TestAnswersOfADomainAreBounded(t *testing.T) {
	t.Parallel()
	server := func(octets int) int {
		return scriptedFilter(t, func(base, _ string, _ []string) []*ldap.Entry {
			if base == "" {
				return []*ldap.Entry{ldap.NewEntry("", map[string][]string{"namingContexts": {"dc=a", "dc=b", "dc=c", "dc=d"}})}
			}
			return []*ldap.Entry{ldap.NewEntry("cn=x,"+base, map[string][]string{"userCertificate;binary": {strings.Repeat("x", octets)}})}
		}).Addr().Port
	}
	if _, err := askDirectly(t, server(maxAnswers/5)); err != nil {
		t.Errorf("four fifths: %v", err)
	}
	if _, err := askDirectly(t, server(maxAnswers/3)); err == nil || !strings.Contains(err.Error(), "longer than allowed") {
		t.Errorf("four thirds: %v", err)
	}
}
