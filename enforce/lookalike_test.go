package enforce

import (
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

// A domain of other letters is another domain, and so is a longer one.
func TestLookAlikeDomainsAreOthers(t *testing.T) {
	p, err := CompilePartners([]Partner{{Domain: "partner.example", Signers: []string{"gateway@partner.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	rules := inboundPolicy(t, InboundRule{From: []string{"partner.example"}, OnResult: "quarantine"})
	for author, same := range map[string]bool{
		"bob@partner.example": true, "bob@PARTNER.example": true,
		"bob@p\u0430rtner.example": false, "bob@partn\u0435r.example": false, "bob@xn--prtner-4nf.example": false,
		"bob@partner.example.evil.example": false, "bob@notpartner.example": false, "\"bob@partner.example\"@evil.example": false,
	} {
		a := mustParse(t, author)
		f := Facts{From: []address.Address{a}}
		signed := p.Signer(a, SignerFacts{Addresses: []address.Address{mustParse(t, "gateway@partner.example")}}) != ""
		if quarantined := decideOn(t, rules, f).Action == Quarantine; signed != same || quarantined != same {
			t.Errorf("%s: an agreement holds: %v, a rule matches: %v", author, signed, quarantined)
		}
	}
}
