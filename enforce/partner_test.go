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
		{Domain: "bücher.example", Signers: []string{"Gateway@Bücher.example", "dns:mx.bücher.example"}},
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
		"in Unicode, an address":  {"bob@xn--bcher-kva.example", named("gateway@xn--bcher-kva.example"), "Gateway@xn--bcher-kva.example"},
		"in Unicode, a host":      {"bob@bücher.example", SignerFacts{Hosts: []string{"mx.xn--bcher-kva.example"}}, "dns:mx.xn--bcher-kva.example"},
		"no certificate":          {"bob@partner.example", SignerFacts{}, ""},
	} {
		if got := p.Signer(mustParse(t, tt.author), tt.cert); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := p.SignerAddresses(mustParse(t, "bob@partner.example")); len(got) != 1 || got[0].String() != "gateway@partner.example" {
		t.Errorf("addresses: %v", got)
	}
	if got := append(p.SignerAddresses(mustParse(t, "bob@sub.partner.example")), p.SignerAddresses(address.Null)...); got != nil {
		t.Errorf("addresses for others: %v", got)
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
		`line 4: partner: domain: "not a domain" is not a domain; write one such as example.net`:                                                                 {{Domain: "not a domain"}},
		`line 4: partner: says nothing; set signers, domain_certificate, profile, minimum or contact`:                                                            {{Domain: "a.example"}},
		`line 4: partner: domain_certificate: "gw@b.example" is not in the domain of the partner; to encrypt to another, write domain_certificate in a rule`:     {{Domain: "a.example", Certificate: "gw@b.example"}},
		`line 4: partner: domain_certificate: "gw@sub.a.example" is not in the domain of the partner; to encrypt to another, write domain_certificate in a rule`: {{Domain: "a.example", Certificate: "gw@sub.a.example"}},
		`line 4: partner: domain_certificate: "a.example" is neither an address nor "domain"; write one of them`:                                                 {{Domain: "a.example", Certificate: "a.example"}},
		`line 4: partner: contact: must be one line of at most 120 octets`:                                                                                       {{Domain: "a.example", Contact: "a\nb"}},
		`line 4: partner: signers: "gw@b.example": is not in the domain of the partner; name the certificate by sha256: and its fingerprint`:                     {{Domain: "a.example", Signers: []string{"gw@b.example"}}},
		`line 4: partner: signers: "dns:a.example.evil.example": is not in the domain of the partner; name the certificate by sha256: and its fingerprint`:       {{Domain: "a.example", Signers: []string{"dns:a.example.evil.example"}}},
		`line 4: partner: signers: "xa.example": is neither an address, "dns:" with a host name nor "sha256:" with a fingerprint; write one of them`:             {{Domain: "a.example", Signers: []string{"xa.example"}}},
		`line 9: partner: domain: "A.example" has a table already; put what was agreed there`:                                                                    {{Domain: "a.example", Signers: []string{"gw@a.example"}}, {Line: 9, Domain: "A.example", Signers: []string{"gw@a.example"}}},
	} {
		partners[0].Line = 4
		if _, err := CompilePartners(partners); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// What is agreed with a domain counts for its recipients alone, and where a rule names
// nothing of its own.
func TestPartnerCertificateAndProfile(t *testing.T) {
	partners, err := CompilePartners([]Partner{{Domain: "Partner.example", Certificate: "gw@partner.example", Profile: "strong", Contact: "+49 30 1"}, {Domain: "rfc.example", Certificate: OfDomain}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile([]Rule{
		{Name: "named", Subject: []string{"named"}, Sign: "never", Encrypt: "require", Profile: "edi", DomainCertificate: "other@gw.example"},
		{Name: "default", Sign: "never", Encrypt: "require"},
	})
	if err != nil {
		t.Fatal(err)
	}
	none := CertificateFacts{State: None, Reason: "expired"}
	domain := CertificateFacts{State: Available, Usable: []Fingerprint{{1}}}
	for _, tt := range []struct{ to, subject, certificate, profile string }{
		{"bob@partner.example", "s", "gw@partner.example", "strong"},
		{"bob@PARTNER.example", "s", "gw@partner.example", "strong"},
		{"bob@partner.example", "named", "other@gw.example", "edi"},
		{"bob@sub.partner.example", "s", "", "default"},
		{"bob@other.example", "s", "", "default"},
		{"bob@rfc.example", "s", OfDomain, "default"},
	} {
		a := mustParse(t, tt.to)
		f := Facts{Direction: Outbound, Sender: mustParse(t, "a@own.example"), Content: Content{Header: map[string][]string{"subject": {tt.subject}}},
			Recipients: []RecipientFacts{{Address: a, Partner: partners.Of(a), Certificate: none, Domain: domain}}}
		n := p.Needs(&f)
		if n.Domain[0] != tt.certificate || n.Profile[0] != tt.profile {
			t.Errorf("%+v: needs %q by %q", tt, n.Domain[0], n.Profile[0])
		}
		plan := Decide(p, &f)
		if err := p.Check(&f, plan); err != nil {
			t.Errorf("%+v: %v", tt, err)
		}
		if tt.certificate == "" {
			if len(plan.Refused) != 1 || strings.Contains(plan.Refused[0].Reason, "contact") {
				t.Errorf("%+v: %+v", tt, plan)
			}
			continue
		}
		if len(plan.Copies) != 1 || plan.Copies[0].Encrypt.Profile != tt.profile || !strings.Contains(plan.Copies[0].Recipients[0].Note, "domain certificate") || !strings.Contains(plan.Copies[0].Recipients[0].Note, "expired") {
			t.Errorf("%+v: %+v", tt, plan)
		}
		if early := p.Early(&f); early.Refusable {
			t.Errorf("%+v: refused when it is named", tt)
		}
		f.Recipients[0].Domain = none
		if r := Decide(p, &f).Refused; tt.profile == "strong" && (len(r) != 1 || r[0].Temporary || !strings.HasSuffix(r[0].Reason, "; contact for partner.example: +49 30 1")) {
			t.Errorf("%+v: %+v", tt, r)
		}
		f.Recipients[0].Domain = CertificateFacts{}
		if r := Decide(p, &f).Refused; len(r) != 1 || !r[0].Temporary {
			t.Errorf("%+v: unknown: %+v", tt, r)
		}
	}
	if n := (*Partners)(nil).Profiles(); len(n) != 0 || (*Partners)(nil).Of(mustParse(t, "a@b.example")).With("x") != "x" {
		t.Error(n)
	}
}
