package enforce

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func TestDomainSigners(t *testing.T) {
	fp := "sha256:" + strings.Repeat("ab", 32)
	p, err := CompilePartners([]Partner{
		{Domain: "Partner.example", Signers: []string{"gateway@partner.example", "dns:mx.partner.example", fp}},
		{Domain: "other.example", Signers: []string{"gateway@gw.other.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var sum Fingerprint
	for i := range sum {
		sum[i] = 0xab
	}
	named := func(list ...string) (f SignerFacts) {
		for _, s := range list {
			f.Addresses = append(f.Addresses, mustParse(t, s))
		}
		return f
	}
	for name, tt := range map[string]struct {
		author string
		cert   SignerFacts
		want   string
	}{
		"address":                 {"bob@partner.example", named("x@y.example", "Gateway@PARTNER.example"), "gateway@partner.example"},
		"host":                    {"bob@partner.example", SignerFacts{Hosts: []string{"MX.partner.example."}}, "dns:mx.partner.example"},
		"fingerprint":             {"bob@partner.example", SignerFacts{Fingerprint: sum}, fp},
		"another address":         {"bob@partner.example", named("mallory@partner.example"), ""},
		"another host":            {"bob@partner.example", SignerFacts{Hosts: []string{"www.partner.example"}}, ""},
		"another domain":          {"bob@third.example", named("gateway@partner.example"), ""},
		"another partner's":       {"bob@other.example", named("gateway@partner.example"), ""},
		"a subdomain of authors":  {"bob@sub.partner.example", named("gateway@partner.example"), ""},
		"a signer in a subdomain": {"bob@other.example", named("gateway@gw.other.example"), "gateway@gw.other.example"},
		"no certificate":          {"bob@partner.example", SignerFacts{}, ""},
	} {
		if got := p.Signer(mustParse(t, tt.author), tt.cert); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := (*Partners)(nil).Signer(mustParse(t, "bob@partner.example"), named("gateway@partner.example")); got != "" {
		t.Errorf("without agreements: %q", got)
	}
	if got := p.Signer(address.Null, named("gateway@partner.example")); got != "" {
		t.Errorf("of no author: %q", got)
	}
}

func TestPartnerProblems(t *testing.T) {
	for want, partners := range map[string][]Partner{
		`line 4: partner: domain: "not a domain" is not a domain`:                                                                                          {{Domain: "not a domain"}},
		`line 4: partner: signers: is empty; write an address of the partner's gateway, "dns:" and a host name, or "sha256:" and a fingerprint`:            {{Domain: "a.example"}},
		`line 4: partner: signers: "gw@b.example": is not in the domain of the partner; name the certificate by sha256: and its fingerprint`:               {{Domain: "a.example", Signers: []string{"gw@b.example"}}},
		`line 4: partner: signers: "dns:a.example.evil.example": is not in the domain of the partner; name the certificate by sha256: and its fingerprint`: {{Domain: "a.example", Signers: []string{"dns:a.example.evil.example"}}},
		`line 4: partner: signers: "xa.example": is neither an address, "dns:" with a host name nor "sha256:" with a fingerprint`:                          {{Domain: "a.example", Signers: []string{"xa.example"}}},
		`line 9: partner: domain: "A.example" has a table already; put its signers there`:                                                                  {{Domain: "a.example", Signers: []string{"gw@a.example"}}, {Line: 9, Domain: "A.example", Signers: []string{"gw@a.example"}}},
	} {
		partners[0].Line = 4
		if _, err := CompilePartners(partners); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
