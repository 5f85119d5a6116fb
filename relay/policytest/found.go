package policytest

import (
	"cmp"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay/gateway"
)

// facts are what the inbound rules are asked with. What is encrypted was decrypted
// here.
func (f *Found) facts() (enforce.Found, error) {
	signers, err := parseAll(f.Signers)
	if err != nil {
		return enforce.Found{}, err
	}
	found := enforce.Found{
		Result: cmp.Or(f.Result, "none"), Reason: f.Reason, Chain: f.Chain,
		Signed: f.Signed || len(signers) > 0, Encrypted: f.Encrypted, Secret: f.Encrypted,
		Algorithms: f.Algorithms, Cipher: f.Cipher,
	}
	for i := range signers {
		found.Signers = append(found.Signers, enforce.FoundSigner{Addresses: signers[i : i+1]})
	}
	return found, nil
}

// asRecipients has outcomes of inbound mail in the form of those of outbound mail.
func asRecipients(outcomes []gateway.InboundOutcome) *gateway.Explanation {
	x := &gateway.Explanation{Direction: enforce.Inbound}
	for _, o := range outcomes {
		x.Recipients = append(x.Recipients, gateway.ExplainedRecipient{
			Address: o.Recipient, Rule: o.Rule, Line: o.Line, Outcome: o.Outcome, Reason: o.Reason, Report: o.Report,
		})
	}
	return x
}
