package nexthop

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// TestDANE delivers to domains whose hosts have TLSA records of all sorts, by real DNS
// servers. What a record demands is done or nothing is sent; what is not signed demands
// nothing.
func TestDANE(t *testing.T) {
	port := loopback.FreePort(t)
	ca, other := newAuthority(t), newAuthority(t)
	valid, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	hash := func(der []byte) string { s := sha256.Sum256(der); return fmt.Sprintf("%x", s) }
	hash512 := func(der []byte) string { s := sha512.Sum512(der); return fmt.Sprintf("%x", s) }
	type host struct {
		pair *tls.Certificate
		tlsa []string
		want string // of the reply, then of what is counted
	}
	named := func(name string, until time.Time) *tls.Certificate { p := ca.pair(name, until); return &p }
	hosts := map[string]host{}
	with := func(name string, pair *tls.Certificate, want string, tlsa ...string) {
		hosts[name] = host{pair, tlsa, want}
	}
	p := named("elsewhere.test", past)
	with("ee-key", p, "ok; tlsa success", "3 1 1 "+hash(p.Leaf.RawSubjectPublicKeyInfo))
	with("ee-cert", p, "ok; tlsa success", "3 0 2 "+hash512(p.Leaf.Raw))
	with("ee-exact", p, "ok; tlsa success", fmt.Sprintf("3 1 0 %x", p.Leaf.RawSubjectPublicKeyInfo))
	with("rollover", p, "ok; tlsa success", "3 1 1 "+hash([]byte("old")), "3 1 1 "+hash(p.Leaf.RawSubjectPublicKeyInfo))
	with("wrong", p, "451 4.7.5; tlsa validation-failure", "3 1 1 "+hash([]byte("x")))
	// The stronger digest counts alone.
	with("agility", p, "451 4.7.5; tlsa validation-failure", "3 1 1 "+hash(p.Leaf.RawSubjectPublicKeyInfo), "3 1 2 "+hash512([]byte("x")))
	// A digest that cannot be one is not stronger than another.
	with("malformed", p, "ok; tlsa success", "3 1 1 "+hash(p.Leaf.RawSubjectPublicKeyInfo), "3 1 2 0102")
	with("malformed-wrong", p, "451 4.7.5; tlsa validation-failure", "3 1 1 "+hash([]byte("x")), "3 1 2 0102")
	with("ta", named("ta.signed.test", valid), "ok; tlsa success", "2 0 1 "+hash(ca.cert.Raw))
	with("ta-exact", named("ta-exact.signed.test", valid), "ok; tlsa success", fmt.Sprintf("2 0 0 %x", ca.cert.Raw))
	with("ta-domain", named("to-ta-domain.signed.test", valid), "ok; tlsa success", "2 1 1 "+hash(ca.cert.RawSubjectPublicKeyInfo))
	with("ta-name", named("elsewhere.test", valid), "451 4.7.5; tlsa certificate-host-mismatch", "2 0 1 "+hash(ca.cert.Raw))
	with("ta-expired", named("ta-expired.signed.test", past), "451 4.7.5; tlsa certificate-expired", "2 0 1 "+hash(ca.cert.Raw))
	with("ta-other", named("ta-other.signed.test", valid), "451 4.7.5; tlsa validation-failure", "2 0 1 "+hash(other.cert.Raw))
	with("ta-forged", named("ta-forged.signed.test", valid), "451 4.7.5; tlsa certificate-not-trusted", fmt.Sprintf("2 0 0 %x", other.cert.Raw))
	with("no-tls", nil, "451 4.7.4; tlsa starttls-not-supported", "3 1 1 "+hash([]byte("x")))
	with("useless", p, "ok; tlsa success", "1 1 1 "+hash([]byte("x")), "3 1 9 "+hash([]byte("x")), "3 1 1 0102")
	with("useless-no-tls", nil, "451 4.7.4; tlsa starttls-not-supported", "0 0 1 "+hash([]byte("x")))
	with("missing", p, "ok; no-policy-found success")
	with("missing-no-tls", nil, "ok; ")

	zones := map[string][]string{}
	servers := map[string]*mailHost{}
	number := 10
	for name, h := range hosts {
		address := fmt.Sprintf("127.0.0.%d", number)
		number++
		servers[name] = serve(t, fmt.Sprintf("%s:%d", address, port), h.pair)
		for _, zone := range []string{"signed.test", "plain.test"} {
			zones[zone] = append(zones[zone], fmt.Sprintf("%s IN A %s", name, address), fmt.Sprintf("to-%s IN MX 10 %s", name, name))
			for _, record := range h.tlsa {
				zones[zone] = append(zones[zone], fmt.Sprintf("_%d._tcp.%s IN TLSA %s", port, name, record))
			}
		}
	}
	zones["signed.test"] = append(zones["signed.test"], "to-bogus IN MX 10 mx.bogus.test.", "to-plain IN MX 10 ta-name.plain.test.",
		"renamed IN CNAME ta", "to-renamed IN MX 10 renamed")
	zones["plain.test"] = append(zones["plain.test"], "to-signed IN MX 10 wrong.signed.test.")
	running := dnstest.Start(t, dnstest.Zone{Name: "signed.test", Records: zones["signed.test"]},
		dnstest.Zone{Name: "plain.test", Records: zones["plain.test"], Unsigned: true},
		dnstest.Zone{Name: "bogus.test", Records: []string{"mx IN A 127.0.0.2", "to IN MX 10 mx"}, Expired: true})
	var counts counted
	n := open(t, Config{Port: port, TLS: DANE, Lookup: lookupBy(t, running.Validating), Count: counts.add})
	check := func(domain, server, want string) {
		t.Helper()
		before := 0
		if s := servers[server]; s != nil {
			before, _ = s.got()
		}
		got := deliver(t, n, domain) + "; " + counts.take()
		if got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
		if s := servers[server]; s != nil {
			after, secured := s.got()
			if came := after > before; came != strings.HasPrefix(want, "ok") || came && secured != strings.HasSuffix(want, "success") {
				t.Errorf("%s: %d messages, by TLS %v", domain, after-before, secured)
			}
		}
	}
	for name, h := range hosts {
		check("to-"+name+".signed.test", name, h.want)
	}
	// The name at the end of an alias has the records that count.
	check("to-renamed.signed.test", "ta", "ok; tlsa success")
	// Records of zones that are not signed do not count, on either side.
	check("to-wrong.plain.test", "wrong", "ok; no-policy-found success")
	check("to-plain.signed.test", "ta-name", "ok; no-policy-found success")
	check("to-signed.plain.test", "wrong", "ok; no-policy-found success")
	// What is bogus is not known: nothing is sent.
	check("to-bogus.signed.test", "", "451 4.4.1; ")
	check("to.bogus.test", "", "451 4.4.3; ")
}

// TestDANEForConfiguredHosts: a host that the route names has records, too.
func TestDANEForConfiguredHosts(t *testing.T) {
	port := loopback.FreePort(t)
	ca := newAuthority(t)
	right := ca.pair("x", time.Now().Add(time.Hour))
	server := serve(t, fmt.Sprintf("127.0.0.1:%d", port), &right)
	sum := sha256.Sum256(right.Leaf.RawSubjectPublicKeyInfo)
	servers := dnstest.Start(t, dnstest.Zone{Name: "signed.test", Records: []string{
		"good IN A 127.0.0.1", "bad IN A 127.0.0.1",
		fmt.Sprintf("_%d._tcp.good IN TLSA 3 1 1 %x", port, sum), fmt.Sprintf("_%d._tcp.bad IN TLSA 3 1 1 %x", port, sha256.Sum256(nil)),
	}})
	for host, want := range map[string]string{"good.signed.test": "ok", "bad.signed.test": "451 4.7.5", "absent.signed.test": "451 4.4.1"} {
		n := open(t, Config{Hosts: []string{fmt.Sprintf("%s:%d", host, port)}, TLS: DANE, Lookup: lookupBy(t, servers.Validating)})
		if got := deliver(t, n, "example.net"); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if n, secured := server.got(); n != 1 || !secured {
		t.Errorf("%d messages, by TLS %v", n, secured)
	}
}
