package directory

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
)

// certRecord returns a line for a zone file.
func certRecord(name, kind string, data []byte) string {
	return fmt.Sprintf("%s IN CERT %s 0 0 %s", name, kind, base64.StdEncoding.EncodeToString(data))
}

// TestCERT: certificates are found at the address, in zones that are signed and in others,
// and of the domain's gateway too.
func TestCERT(t *testing.T) {
	t.Parallel()
	one, two, dotted, plain, gateway := issue(t, "bob@signed.test", 0), issue(t, "bob@signed.test", 0), issue(t, "bob.b@signed.test", 0),
		issue(t, "bob@plain.test", 0), issue(t, "domain-confidentiality-authority@plain.test", 0)
	servers := dnstest.Start(t,
		dnstest.Zone{Name: "signed.test", Records: []string{
			certRecord("bob", "PKIX", one.Raw), certRecord("bob", "PKIX", two.Raw), certRecord("bob", "IPKIX", []byte("https://x.test/")),
			certRecord("bob", "PKIX", []byte("no certificate")), certRecord("bob.b", "PKIX", dotted.Raw), "alias IN CNAME bob",
		}},
		dnstest.Zone{Name: "plain.test", Unsigned: true, Records: []string{
			certRecord("bob", "PKIX", plain.Raw), certRecord("domain-confidentiality-authority", "PKIX", gateway.Raw), "other IN TXT x",
		}},
		dnstest.Zone{Name: "bogus.test", Expired: true, Records: []string{certRecord("bob", "PKIX", plain.Raw)}},
	)
	s := NewCERT("dns", lookupAt(t, servers.Validating))
	for a, want := range map[string][]*x509.Certificate{
		"bob@signed.test":   {one, two},
		"BOB@signed.test":   {one, two},
		"alias@signed.test": {one, two},
		"bob.b@signed.test": {dotted},
		"bob@plain.test":    {plain},
		"domain-confidentiality-authority@plain.test":      {gateway},
		"absent@signed.test":                               nil,
		"other@plain.test":                                 nil,
		`"b ob"@plain.test`:                                nil,
		`"b..ob"@plain.test`:                               nil,
		"bob@[127.0.0.1]":                                  nil,
		strings.Repeat("b", 64) + "@plain.test":            nil,
		"bob@" + strings.Repeat("a.", 115) + "signed.test": nil,
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
	f, _ := s.Find(t.Context(), addr(t, "bob@signed.test"))
	for _, note := range []string{"record of type 4 ignored", "record ignored: "} {
		if !strings.Contains(strings.Join(f.Notes, "; "), note) {
			t.Errorf("no note of %q in %q", note, f.Notes)
		}
	}
	if f, err := s.Find(t.Context(), addr(t, "bob@bogus.test")); !errors.Is(err, dns.ErrBogus) {
		t.Errorf("bogus: %v, %v", f, err)
	}
	if f, err := NewCERT("down", lookupAt(t, "127.0.0.1:1")).Find(t.Context(), addr(t, "bob@plain.test")); err == nil {
		t.Errorf("no resolver: %v", f)
	}
}
