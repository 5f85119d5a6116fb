package nexthop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/relay/mtasts"
)

// policyServer serves the policies of domains, by a certificate for whatever name is
// asked for, but for "badweb".
func policyServer(t *testing.T, ca *authority, policies map[string]string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := policies[strings.TrimPrefix(r.Host, "mta-sts.")]
		switch {
		case r.URL.Path != "/.well-known/mta-sts.txt" || !ok:
			http.NotFound(w, r)
		case strings.HasPrefix(text, "/"):
			http.Redirect(w, r, text, http.StatusFound)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, text)
		}
	}))
	s.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := h.ServerName
		if strings.Contains(name, "badweb") {
			name = "elsewhere.test"
		}
		pair := ca.pair(name, time.Now().Add(time.Hour))
		return &pair, nil
	}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestMTASTS delivers to domains with policies of all sorts, by real DNS servers and a web
// server. What an enforced policy demands is done or nothing is sent.
func TestMTASTS(t *testing.T) {
	port := loopback.FreePort(t)
	ca, other := newAuthority(t), newAuthority(t)
	valid, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	enforce := "version: STSv1\nmode: enforce\nmax_age: 86400\nmx: *.plain.test\n"
	policies := map[string]string{
		"testing.plain.test": strings.Replace(enforce, "enforce", "testing", 1), "none.plain.test": "version: STSv1\nmode: none\nmax_age: 86400\n",
		"othermx.plain.test": "version: STSv1\nmode: enforce\nmax_age: 86400\nmx: mx.example.net\n", "invalid.plain.test": "version: STSv1\n",
		"redirect.plain.test": "/elsewhere", "othertest.plain.test": "version: STSv1\nmode: testing\nmax_age: 86400\nmx: mx.example.net\n",
	}
	records := []string{}
	servers := map[string]*mailHost{}
	host := func(name, zone, address string, pair *tls.Certificate, more ...string) []string {
		servers[name] = serve(t, fmt.Sprintf("%s:%d", address, port), pair)
		return append([]string{fmt.Sprintf("%s IN A %s", name, address)}, more...)
	}
	pair := func(a *authority, name string, until time.Time) *tls.Certificate { p := a.pair(name, until); return &p }
	records = append(records, host("good", "plain.test", "127.0.0.10", pair(ca, "good.plain.test", valid))...)
	records = append(records, host("named", "plain.test", "127.0.0.11", pair(ca, "elsewhere.test", valid))...)
	records = append(records, host("expired", "plain.test", "127.0.0.12", pair(ca, "expired.plain.test", past))...)
	records = append(records, host("foreign", "plain.test", "127.0.0.13", pair(other, "foreign.plain.test", valid))...)
	records = append(records, host("clear", "plain.test", "127.0.0.14", nil)...)
	checks := []struct{ domain, host, want string }{
		{"e-good", "good", "ok; sts success"},
		{"e-named", "named", "451 4.7.5; sts certificate-host-mismatch"},
		{"e-expired", "expired", "451 4.7.5; sts certificate-expired"},
		{"e-foreign", "foreign", "451 4.7.5; sts certificate-not-trusted"},
		{"e-clear", "clear", "451 4.7.4; sts starttls-not-supported"},
		{"othermx", "good", "451 4.7.5; sts validation-failure"},
		{"othertest", "named", "ok; no-policy-found success, sts validation-failure"},
		{"testing", "foreign", "ok; no-policy-found success"},
		{"none", "clear", "ok; "},
		{"invalid", "clear", "ok; sts sts-policy-invalid"},
		{"redirect", "clear", "ok; sts sts-policy-fetch-error"},
		{"missing", "clear", "ok; sts sts-policy-fetch-error"},
		{"badweb", "clear", "ok; sts sts-webpki-invalid"},
		{"norecord", "clear", "ok; "},
	}
	for _, c := range checks {
		domain := c.domain + ".plain.test"
		if strings.HasPrefix(c.domain, "e-") {
			policies[domain] = enforce
		}
		records = append(records, fmt.Sprintf("%s IN MX 10 %s", c.domain, c.host))
		if c.domain != "norecord" {
			records = append(records, fmt.Sprintf(`_mta-sts.%s IN TXT "v=STSv1; id=1"`, c.domain))
		}
	}
	unusable := []struct {
		domain, host, policy string
		pair                 *tls.Certificate
		want                 string
	}{
		{"u-good", "right", enforce, pair(ca, "right.signed.test", valid), "ok; sts success"},
		{"u-foreign", "forged", enforce, pair(other, "forged.signed.test", valid), "451 4.7.5; sts certificate-not-trusted"},
		{"u-othermx", "unnamed", policies["othermx.plain.test"], pair(ca, "unnamed.signed.test", valid), "451 4.7.5; sts validation-failure"},
		{"u-testing", "tested", policies["testing.plain.test"], pair(other, "tested.signed.test", valid), "ok; tlsa success"},
		{"u-clear", "bare", policies["testing.plain.test"], nil, "451 4.7.4; tlsa starttls-not-supported"},
	}
	// A domain with TLSA records and a policy: the records decide.
	both := pair(other, "both.signed.test", valid)
	signed := host("both", "signed.test", "127.0.0.15", both, fmt.Sprintf("_%d._tcp.both IN TLSA 3 1 1 %x", port, sha256.Sum256(both.Leaf.RawSubjectPublicKeyInfo)),
		"to-both IN MX 10 both", `_mta-sts.to-both IN TXT "v=STSv1; id=1"`)
	// Records of no use to SMTP do not stand in for the policy.
	for i, c := range unusable {
		policies[c.domain+".signed.test"] = strings.Replace(c.policy, "plain", "signed", 1)
		signed = append(signed, host(c.host, "signed.test", fmt.Sprintf("127.0.0.%d", 20+i), c.pair,
			fmt.Sprintf("_%d._tcp.%s IN TLSA 1 1 1 %x", port, c.host, sha256.Sum256(nil)),
			fmt.Sprintf("%s IN MX 10 %s", c.domain, c.host), fmt.Sprintf(`_mta-sts.%s IN TXT "v=STSv1; id=1"`, c.domain))...)
	}
	running := dnstest.Start(t, dnstest.Zone{Name: "plain.test", Records: records, Unsigned: true}, dnstest.Zone{Name: "signed.test", Records: signed})
	web := policyServer(t, ca, policies)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	fetch := &mtasts.Web{
		Roots: roots, Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Resolver: everywhere{},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, web.Listener.Addr().String())
		},
	}
	var counts counted
	lookup := lookupBy(t, running.Validating)
	n := open(t, Config{
		Port: port, TLS: MTASTS, Lookup: lookup, Count: counts.add, Roots: roots, Policies: mtasts.New(mtasts.Config{Lookup: lookup, Fetch: fetch.Fetch}),
	})
	check := func(domain, server, want string) {
		t.Helper()
		before, _ := servers[server].got()
		if got := deliver(t, n, domain) + "; " + counts.take(); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
		if after, _ := servers[server].got(); (after > before) != strings.HasPrefix(want, "ok") {
			t.Errorf("%s: %d messages", domain, after-before)
		}
	}
	for _, c := range checks {
		check(c.domain+".plain.test", c.host, c.want)
	}
	check("to-both.signed.test", "both", "ok; tlsa success")
	for _, c := range unusable {
		check(c.domain+".signed.test", c.host, c.want)
	}
	// A private address is not asked unless it is allowed.
	fetch.Allowed = nil
	if _, err := fetch.Fetch(t.Context(), "e-good.plain.test"); err == nil || !strings.Contains(err.Error(), "not a public one") {
		t.Errorf("%v", err)
	}
}

// everywhere finds each host on loopback.
type everywhere struct{}

// LookupNetIP implements webguard.Resolver.
func (everywhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}
