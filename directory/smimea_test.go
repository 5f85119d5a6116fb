package directory

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
)

// record returns a line for a zone file.
func record(tb testing.TB, local, domain string, usage, selector, matching byte, data []byte) string {
	tb.Helper()
	name, err := smimeaName(local, domain)
	if err != nil {
		tb.Fatal(err)
	}
	data = append([]byte{usage, selector, matching}, data...)
	return fmt.Sprintf("%s IN TYPE53 \\# %d %s", name, len(data), hex.EncodeToString(data))
}

func TestSMIMEAName(t *testing.T) {
	t.Parallel()
	// RFC 8162 section 3 has hugh@example.com.
	name, err := smimeaName("hugh", "example.com")
	const want = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com."
	if err != nil || name.String() != want {
		t.Errorf("got %s, %v", name, err)
	}
}

func TestSMIMEAOverSignedZones(t *testing.T) {
	t.Parallel()
	one, two, other := issue(t, "bob@signed.test", 0), issue(t, "bob@signed.test", 0), issue(t, "bob@plain.test", 0)
	gateway := issue(t, "domain-confidentiality-authority@signed.test", 0)
	servers := dnstest.Start(t,
		dnstest.Zone{Name: "signed.test", Records: []string{
			record(t, "bob", "signed.test", 3, 0, 0, one.Raw),
			record(t, "bob", "signed.test", 1, 0, 0, two.Raw),
			record(t, "bob", "signed.test", 3, 1, 1, make([]byte, 32)),
			record(t, "Mixed", "signed.test", 3, 0, 0, one.Raw),
			record(t, "broken", "signed.test", 3, 0, 0, []byte("no certificate")),
			record(t, "domain-confidentiality-authority", "signed.test", 3, 0, 0, gateway.Raw),
			"alias._smimecert IN CNAME bob",
		}},
		dnstest.Zone{Name: "plain.test", Unsigned: true, Records: []string{
			record(t, "bob", "plain.test", 3, 0, 0, other.Raw),
		}},
		dnstest.Zone{Name: "bogus.test", Expired: true, Records: []string{
			record(t, "bob", "bogus.test", 3, 0, 0, other.Raw),
		}},
	)
	s, err := NewSMIMEA(SMIMEAConfig{Name: "dns", Resolver: servers.Validating, Probe: "signed.test"})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string][]*x509.Certificate{
		"bob@signed.test":   {one, two},
		"BOB@signed.test":   {one, two},
		"Mixed@signed.test": {one},
		"domain-confidentiality-authority@signed.test":     {gateway},
		"mixed@signed.test":                                nil,
		"absent@signed.test":                               nil,
		"broken@signed.test":                               nil,
		"bob@plain.test":                                   nil,
		"bob@[127.0.0.1]":                                  nil,
		"bob@" + strings.Repeat("a.", 100) + "signed.test": nil,
	} {
		f, err := s.Find(t.Context(), addr(t, a))
		same := len(f.Certificates) == len(want)
		for _, c := range want {
			same = same && slices.ContainsFunc(f.Certificates, c.Equal)
		}
		if err != nil || !same {
			t.Errorf("%s: %d certificates, want %d: %v, %v", a, len(f.Certificates), len(want), f.Notes, err)
		}
	}
	if f, err := s.Find(t.Context(), addr(t, "bob@bogus.test")); !errors.Is(err, dns.ErrBogus) {
		t.Errorf("bogus: %v, %v", f, err)
	}
	careless, err := NewSMIMEA(SMIMEAConfig{Resolver: servers.Careless, Probe: "signed.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"bob@signed.test", "absent@signed.test", "bob@plain.test"} {
		if f, err := careless.Find(t.Context(), addr(t, a)); !errors.Is(err, errNotValidating) {
			t.Errorf("%s by a resolver that does not validate: %v, %v", a, f, err)
		}
	}
}

func TestSMIMEAResolverThatFailsIsUnknown(t *testing.T) {
	t.Parallel()
	silent := slapdtest.StartHostile(t, slapdtest.Hold)
	for _, address := range []string{silent.Addr().String(), "127.0.0.1:1", "tls://" + silent.Addr().String()} {
		s, err := NewSMIMEA(SMIMEAConfig{Resolver: address, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("%s: %v", address, f)
		}
	}
}

func TestSMIMEARefusesResolversOnAnOpenPath(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"127.0.0.1":            true,
		"127.0.0.53:53":        true,
		"[::1]:53":             true,
		"::1":                  true,
		"tls://dns.example":    true,
		"tls://192.0.2.1:8853": true,
		"192.0.2.1:53":         false,
		"dns.example:53":       false,
		"localhost:53":         false,
		"":                     false,
		"tls://":               false,
	} {
		s, err := NewSMIMEA(SMIMEAConfig{Resolver: address})
		if (err == nil) != ok {
			t.Errorf("%q: %v, %v", address, s, err)
		}
	}
}
