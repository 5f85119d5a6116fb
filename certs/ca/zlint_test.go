package ca_test

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
)

// others are the rules of zlint that are about other things than mail: servers'
// certificates, code, and the root programs of browsers.
var others = []lint.LintSource{
	lint.CABFEVGuidelines, lint.CABFCSBaselineRequirements, lint.AppleRootStorePolicy, lint.ChromeRootStorePolicy,
}

// A finding that we know and keep: about what, and why.
type finding struct{ what, rule, why string }

var accepted = []finding{
	{"root", "n_ca_digital_signature_not_set", "a notice: we have no OCSP responder that would need it"},
	{"issuing", "n_ca_digital_signature_not_set", "as above"},
	{"root", "e_cabf_ecc_allowed_key_usages", "a rule for servers (their subscribers), which takes a root, having no extended key usage, for one; BR S/MIME 7.1.2.1 b says what a root's are"},
	{"issuing", "e_ext_name_constraints_not_critical", "BR S/MIME 7.1.2.2 f excepts itself from RFC 5280 here: GnuPG refuses a critical extension that it does not know"},
	{"authority revoked", "e_cab_crl_has_valid_reason_code", "a rule for servers' subscribers; BR S/MIME 7.2.2 wants the most appropriate reason, and for an authority that is cACompromise"},
}

func isAccepted(what, rule string) bool {
	return slices.ContainsFunc(accepted, func(f finding) bool { return f.what == what && f.rule == rule })
}

func registry(t *testing.T) lint.Registry {
	t.Helper()
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{ExcludeSources: others})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signer(t *testing.T, id *certs.Identity) crypto.Signer {
	t.Helper()
	s, ok := id.Key.(crypto.Signer)
	if !ok {
		t.Fatalf("key %T does not sign", id.Key)
	}
	return s
}

// judge complains of everything that is not a pass, and returns how many rules
// applied, by their source.
func judge(t *testing.T, what string, set *zlint.ResultSet) map[lint.LintSource]int {
	t.Helper()
	applied := map[lint.LintSource]int{}
	for name, r := range set.Results {
		if r.Status == lint.NA || r.Status == lint.NE {
			continue
		}
		applied[r.LintMetadata.Source]++
		if r.Status <= lint.Pass || isAccepted(what, name) {
			continue
		}
		t.Errorf("%s: %s: %s: %s %s", what, r.Status, name, r.LintMetadata.Description, r.Details)
	}
	return applied
}

func lintCertificate(t *testing.T, what string, der []byte) map[lint.LintSource]int {
	t.Helper()
	c, err := zx509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return judge(t, what, zlint.LintCertificateEx(c, registry(t)))
}

// lintCRL looks at a list; a root's may be good for twelve months, which is an
// option of zlint.
func lintCRL(t *testing.T, what string, der []byte, subscribers bool) {
	t.Helper()
	rules := registry(t)
	config, err := lint.NewConfigFromString(fmt.Sprintf("[e_crl_next_update_invalid]\nSubscriberCRL = %t\n", subscribers))
	if err != nil {
		t.Fatal(err)
	}
	rules.SetConfiguration(config)
	c, err := zx509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if n := judge(t, what, zlint.LintRevocationListEx(c, rules)); n[lint.CABFBaselineRequirements]+n[lint.RFC5280] < 3 {
		t.Errorf("%s: only %v rules applied", what, n)
	}
}

// TestWhatIsIssuedPassesZLint: every profile with every key, both uses, and
// addresses of every form.
func TestWhatIsIssuedPassesZLint(t *testing.T) {
	addresses := []string{
		"alice@example.com", "Bob.Miller+x@sub.example.com", "jörg@example.com", "x@bücher.de",
		strings.Repeat("l", 64) + "@example.com", strings.Repeat("ö", 32) + "@" + strings.Repeat("long.", 10) + "example.com",
		"o'neil@example.com",
	}
	for _, profile := range []ca.Profile{ca.Multipurpose, ca.Strict} {
		w := newWorld(t, "p384", profile)
		for i, kind := range ca.Kinds {
			for _, separate := range []bool{false, true} {
				at := addresses[i%len(addresses)]
				for _, id := range w.issue(t, ca.Request{Address: parse(t, at), Key: kind, Separate: separate, Validity: ca.MaxValidity}) {
					what := fmt.Sprintf("%s %s for %q, separate %t", profile, kind, at, separate)
					if n := lintCertificate(t, what, id.Certificate.Raw); n[lint.CABFSMIMEBaselineRequirements] < 15 || n[lint.RFC5280] < 30 {
						t.Errorf("%s: only %v rules applied", what, n)
					}
				}
			}
		}
		for _, at := range addresses {
			for _, id := range w.issue(t, ca.Request{Address: parse(t, at)}) {
				lintCertificate(t, at, id.Certificate.Raw)
			}
		}
	}
}

// TestAuthoritiesPassZLint: with keys of both families, with and without limits.
func TestAuthoritiesPassZLint(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "rsa2048"} {
		for _, domains := range [][]string{nil, {"example.com", ".example.com"}} {
			w := newWorld(t, kind, ca.Strict, domains...)
			lintCertificate(t, "root", w.pair.Root.Certificate.Raw)
			lintCertificate(t, "issuing", w.pair.Issuing.Certificate.Raw)
			for _, id := range w.issue(t, ca.Request{Address: parse(t, "alice@example.com")}) {
				lintCertificate(t, "below a "+kind, id.Certificate.Raw)
			}
		}
	}
}

// TestListsPassZLint: empty, and with every reason that the command line knows.
func TestListsPassZLint(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	lintCRL(t, "empty list of the root", crl(t, w.root), false)
	lintCRL(t, "empty list", crl(t, w.issuing), true)
	for _, reason := range ca.Reasons {
		if ca.Reason(reason) == ca.CACompromise {
			continue
		}
		id := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
		w.now = w.now.Add(time.Minute)
		der, err := w.issuing.Revoke(t.Context(), id.Certificate, ca.Reason(reason))
		if err != nil {
			t.Fatal(err)
		}
		lintCRL(t, reason, der, true)
	}
	der, err := w.root.Revoke(t.Context(), w.pair.Issuing.Certificate, ca.CACompromise)
	if err != nil {
		t.Fatal(err)
	}
	lintCRL(t, "authority revoked", der, false)
}

// TestZLintSeesWhatIsWrong keeps the tests above able to fail.
func TestZLintSeesWhatIsWrong(t *testing.T) {
	w := newWorld(t, "p256", ca.Strict)
	id := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: "p256"})[0]
	bad := *id.Certificate
	bad.KeyUsage, bad.CRLDistributionPoints, bad.Extensions = 1<<3, nil, nil
	c, err := zx509.ParseCertificate(resign(t, w, &bad))
	if err != nil {
		t.Fatal(err)
	}
	set := zlint.LintCertificateEx(c, registry(t))
	for _, name := range []string{"e_subscribers_shall_have_crl_distribution_points", "e_ec_other_key_usages"} {
		if r := set.Results[name]; r == nil || r.Status != lint.Error {
			t.Errorf("%s: %v", name, r)
		}
	}
}
