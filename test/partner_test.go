package test

import (
	"strings"
	"testing"
)

// gatewaySigner is whose certificate signs for all authors of partner.example.
const gatewaySigner = "gateway@partner.example"

// partners is the agreement of every gateway in these tests.
const partners = `
[[partner]]
domain = "partner.example"
signers = ["` + gatewaySigner + `"]
`

// testPartner: the signature of a partner's gateway passes for its domain, with a word
// that says so, and not for another domain.
func (d *deployment) testPartner(t *testing.T) {
	entity := d.signClear(t, d.ids[gatewaySigner])
	for author, result := range map[string]string{"somebody@partner.example": "pass", "somebody@encrypt.example": "fail"} {
		t.Run(result, func(t *testing.T) {
			m := newMail(t, author, alice)
			m.entity = entity
			want(t, d.receive(t, m), alice, "accepted")
			got := d.arrived(t, m, alice)
			status(t, got.Data, result)
			said := strings.Contains(string(got.Data), "policy.signer="+gatewaySigner) && strings.Contains(string(got.Data), "reason=domain-signature")
			if said != (result == "pass") {
				t.Errorf("the status is\n%s", got.Data)
			}
		})
	}
}
