package policytest

import (
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestInboundCases(t *testing.T) {
	gc := config(t)
	gc.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{
		{Name: "bad", Signed: "yes", ExceptResult: []string{"pass"}, OnResult: "reject"},
		{Name: "unsigned", From: []string{"partner.example"}, Signed: "no", OnResult: "quarantine"},
	}))
	cases, err := Parse([]byte(`
[[case]]
name = "a bad signature"
from = "a@partner.example"
to = ["bob@own.example"]
found = { result = "fail", reason = "content-changed", signed = true }
expect = { "bob@own.example" = "refused by bad" }

[[case]]
name = "the same inside encryption"
from = "a@partner.example"
to = ["bob@own.example"]
found = { result = "fail", signed = true, encrypted = true, cipher = "aes-256-cbc" }
expect = { "bob@own.example" = "quarantined by bad" }

[[case]]
name = "no signature"
from = "a@partner.example"
to = ["bob@own.example"]
found = {}
expect = { "bob@own.example" = "quarantined by unsigned" }

[[case]]
name = "a good one"
from = "a@partner.example"
to = ["bob@own.example"]
found = { result = "pass", signers = ["a@partner.example"] }
expect = { "bob@own.example" = "delivered" }

[[case]]
name = "what is not so"
from = "a@partner.example"
to = ["bob@own.example"]
found = {}
expect = { "bob@own.example" = "delivered" }
`))
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), gc, cases)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if wrong := i == len(results)-1; (len(r.Failures) > 0) != wrong {
			t.Errorf("%s: %q", r.Name, r.Failures)
		}
	}
}
