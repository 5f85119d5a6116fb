package policytest

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// neverAsked is a Checker that tests of rules have no use for.
type neverAsked struct{}

func (neverAsked) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	return certs.Verdict{Result: certs.TempError}
}

func config(t *testing.T) gateway.Config {
	t.Helper()
	p, err := enforce.Compile([]enforce.Rule{
		{Name: "partner", Recipient: []string{"partner.example"}, Sign: "require", Encrypt: "require", UserControl: []string{"plain"}},
		{Name: "default", Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Config{
		Hostname: "gw.own.example", Domains: []string{"own.example"}, Policy: p, Checker: neverAsked{},
		Triggers: gateway.Triggers{Plain: []string{"[plain]"}},
	}
}

func run(t *testing.T, text string) []Result {
	t.Helper()
	cases, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(context.Background(), config(t), cases)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestRun(t *testing.T) {
	results := run(t, `
[[case]]
name = "right"
from = "alice@own.example"
to = ["bob@partner.example", "ben@partner.example", "brit@partner.example"]
certificates = ["bob@partner.example"]
unknown = ["brit@partner.example"]
expect = { "bob@partner.example" = "signed, encrypted by partner", "ben@partner.example" = "refused", "brit@partner.example" = "deferred" }

[[case]]
name = "wish"
from = "alice@own.example"
to = ["bob@partner.example"]
headers = ["Subject: [plain] x"]
expect = { "bob@partner.example" = "signed" }

[[case]]
name = "no author"
from = "alice@own.example"
author = "<x@evil.example"
to = ["bob@partner.example"]
refused = "550 5.6.0"

[[case]]
name = "wrong"
from = "alice@own.example"
to = ["bob@partner.example"]
expect = { "bob@partner.example" = "signed, encrypted", "nobody@x.example" = "passed" }

[[case]]
name = "wrong too"
from = "alice@own.example"
author = "<x@evil.example"
to = ["bob@partner.example"]
expect = { "bob@partner.example" = "refused" }
`)
	for _, r := range results[:3] {
		if len(r.Failures) > 0 {
			t.Errorf("%s: %q", r.Name, r.Failures)
		}
	}
	want := "bob@partner.example: refused, expected signed, encrypted (no valid S/MIME certificate for bob@partner.example: no certificate found in the case)\n" +
		"nobody@x.example: is expected and is no recipient"
	if got := strings.Join(results[3].Failures, "\n"); got != want {
		t.Errorf("wrong: %q, want %q", got, want)
	}
	if len(results[3].Failures) != 2 || len(results[4].Failures) != 1 || results[3].Line != 24 {
		t.Errorf("%+v", results[3:])
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "there are no cases",
		"[[case]]\nname = 1":       "line",
		"[[case]]\nname = \"x\"":   "line 1: case \"x\": needs name, to (or bcc) and expect",
		"[[case]]\nnmae = \"x\"\n": `unknown key "case.nmae"`,
		"[[case]\nname = \"x\"":    "line 2",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestRunRefusesBadAddresses(t *testing.T) {
	cases, err := Parse([]byte("[[case]]\nname = \"x\"\nfrom = \"alice\"\nto = [\"b@c.example\"]\nrefused = \"5\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), config(t), cases); err == nil || !strings.Contains(err.Error(), `case "x"`) {
		t.Errorf("error %v", err)
	}
}

// issuer is one that must not be asked: rules are tested whatever its state is.
type issuer struct{ t *testing.T }

func (i issuer) Issue(context.Context, address.Address) (*certs.Identity, error) {
	i.t.Error("an identity was issued")
	return nil, nil
}

func (issuer) Due(context.Context, *certs.Identity) bool { return true }

func (issuer) Ready(context.Context, address.Address) error { return errUnknown }

// TestIssue: whom we cannot sign for yet is signed for where the rule has an
// identity issued.
func TestIssue(t *testing.T) {
	cases, err := Parse([]byte(`
[[case]]
name = "issued"
from = "new@own.example"
to = ["bob@partner.example", "carol@other.example"]
identities = []
expect = { "bob@partner.example" = "signed", "carol@other.example" = "deferred" }
`))
	if err != nil {
		t.Fatal(err)
	}
	gc := config(t)
	if gc.Policy, err = enforce.Compile([]enforce.Rule{
		{Name: "partner", Recipient: []string{"partner.example"}, Sign: "require", Issue: true},
		{Name: "default", Sign: "require", Encrypt: "never"},
	}); err != nil {
		t.Fatal(err)
	}
	gc.Issuer = issuer{t}
	results, err := Run(t.Context(), gc, cases)
	if err != nil || len(results[0].Failures) > 0 {
		t.Errorf("%v, %v", results, err)
	}
}
