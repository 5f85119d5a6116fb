package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
)

// gatewaySigner is whose certificate signs for all authors of partner.example.
const gatewaySigner = "gateway@partner.example"

// partners is what is agreed: who signs for a domain, and to what is encrypted for its
// people, by name and by a file of which the certificate names another domain. DIR is the
// folder of the world.
const partners = `
[[partner]]
domain = "partner.example"
signers = ["` + gatewaySigner + `"]
domain_certificate = "` + gatewaySigner + `"

[[partner]]
domain = "by-file.example"
domain_certificate_file = "DIR/partner.pem"

[[rule]]
name = "to partners"
recipient = ["partner.example", "by-file.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject"
`

// unnamedSigner is the domain's by its name (RFC 3183 section 3.1), and no rule
// names it.
const unnamedSigner = "domain-signing-authority@encrypt.example"

// testPartner: the signature of a partner's gateway passes for its domain, with a word
// that says so, and neither for another domain nor without a rule.
func (d *deployment) testPartner(t *testing.T) {
	for name, c := range map[string]struct {
		signer, author, result string
		nocerts                bool // the message does not bring the certificate
	}{
		"by the rule":                        {gatewaySigner, "anna@partner.example", "pass", false},
		"another domain":                     {gatewaySigner, "anna@encrypt.example", "fail", false},
		"without a rule":                     {unnamedSigner, "anna@encrypt.example", "fail", false},
		"not the signer":                     {unnamedSigner, "anna@partner.example", "fail", false},
		"from the directory, by the rule":    {gatewaySigner, "anna@partner.example", "pass", true},
		"from the directory, another domain": {gatewaySigner, "anna@encrypt.example", "permerror", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, c.author, alice)
			m.entity = d.signClear(t, d.ids[c.signer])
			if c.nocerts {
				signed := testpki.Must(d.openssl.(*peer.OpenSSL).SignNocerts([]byte(inboundText), d.ids[c.signer]))
				m.entity = string(entityOf(canonical(signed)))
			}
			want(t, d.receive(t, m), alice, "accepted")
			got := d.arrived(t, m, alice)
			status(t, got.Data, c.result)
			said := strings.Contains(string(got.Data), "policy.signer="+c.signer) && strings.Contains(string(got.Data), "reason=domain-signature")
			if said != (c.result == "pass") || strings.Contains(string(got.Data), "domain-signature") != said {
				t.Errorf("the status is\n%s", got.Data)
			}
		})
	}
}

// testToPartner: who has no certificate gets mail by that of the partner's gateway.
func (d *deployment) testToPartner(t *testing.T) {
	for name, to := range map[string]string{"by name": "anna@partner.example", "by file": "anna@by-file.example"} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, alice, to)
			want(t, d.send(t, m), to, "accepted")
			got := d.arrived(t, m, to)
			if bytes.Contains(got.Data, []byte(secret)) {
				t.Errorf("not encrypted:\n%s", got.Data)
			}
			d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
		})
	}
}
