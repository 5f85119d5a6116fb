package enforce

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func inboundPolicy(t *testing.T, rules ...InboundRule) *InboundPolicy {
	t.Helper()
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = string(rune('a' + i))
		}
	}
	p, err := CompileInbound(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// decideOn is what a policy says of one recipient.
func decideOn(t *testing.T, p *InboundPolicy, f Facts) InboundDecision {
	t.Helper()
	f.Direction = Inbound
	f.Recipients = []RecipientFacts{{Address: mustParse(t, "bob@own.example")}}
	return p.Decide(&f)[0]
}

func TestInboundConditions(t *testing.T) {
	signer := FoundSigner{Addresses: []address.Address{mustParse(t, "Alice@Partner.example")}, Fingerprint: Fingerprint{1, 2}}
	found := Found{
		Result: "pass", Chain: "trusted", Signed: true, Encrypted: true, Cipher: "aes-256-cbc",
		Algorithms: []string{"aes-256-cbc", "sha-256", "rsa-pkcs1"}, Signers: []FoundSigner{signer},
	}
	bad := Found{Result: "policy", Reason: "below-minimum", Signed: true, Chain: "untrusted"}
	for name, tt := range map[string]struct {
		rule  InboundRule
		found Found
		match bool
	}{
		"result":                 {InboundRule{Result: []string{"pass"}}, found, true},
		"another result":         {InboundRule{Result: []string{"fail", "none"}}, found, false},
		"except_result":          {InboundRule{ExceptResult: []string{"pass"}}, bad, true},
		"except_result, pass":    {InboundRule{ExceptResult: []string{"pass"}}, found, false},
		"reason":                 {InboundRule{Reason: []string{"below-*"}}, bad, true},
		"reason of a pass":       {InboundRule{Reason: []string{"?*", "*x"}}, found, false},
		"except_reason":          {InboundRule{ExceptReason: []string{"below-minimum"}}, bad, false},
		"chain":                  {InboundRule{Chain: []string{"untrusted"}}, bad, true},
		"signer by domain":       {InboundRule{Signer: []string{"partner.example"}}, found, true},
		"signer by address":      {InboundRule{Signer: []string{"alice@partner.example"}}, found, true},
		"another signer":         {InboundRule{Signer: []string{"other.example"}}, found, false},
		"signer by fingerprint":  {InboundRule{Signer: []string{"sha256:0102" + strings.Repeat("00", 30)}}, found, true},
		"another fingerprint":    {InboundRule{Signer: []string{"sha256:0103" + strings.Repeat("00", 30)}}, found, false},
		"signer of what failed":  {InboundRule{Signer: []string{"*"}}, bad, false},
		"except_signer":          {InboundRule{ExceptSigner: []string{"partner.example"}}, bad, true},
		"cipher":                 {InboundRule{Algorithm: []string{"*-CBC"}}, found, true},
		"digest":                 {InboundRule{Algorithm: []string{"sha-1", "sha-256"}}, found, true},
		"no such algorithm":      {InboundRule{Algorithm: []string{"sha-1"}}, found, false},
		"signed":                 {InboundRule{Signed: "yes"}, bad, true},
		"not signed":             {InboundRule{Signed: "no"}, Found{Result: "none"}, true},
		"not signed, and is":     {InboundRule{Signed: "no"}, bad, false},
		"encrypted":              {InboundRule{Encrypted: "yes"}, found, true},
		"not encrypted":          {InboundRule{Encrypted: "no"}, found, false},
		"two conditions":         {InboundRule{Encrypted: "yes", Result: []string{"pass"}}, found, true},
		"two, one does not hold": {InboundRule{Encrypted: "no", Result: []string{"pass"}}, found, false},
	} {
		tt.rule.OnResult = "quarantine"
		d := decideOn(t, inboundPolicy(t, tt.rule), Facts{Found: tt.found})
		if (d.Action == Quarantine) != tt.match {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A condition on what cannot be read leads to the rule that protects most.
func TestInboundUnsure(t *testing.T) {
	p := inboundPolicy(t,
		InboundRule{Subject: []string{"newsletter"}, OnResult: "deliver"},
		InboundRule{Subject: []string{"invoice"}, OnResult: "reject"},
		InboundRule{OnResult: "quarantine"})
	unread := Content{Header: map[string][]string{"subject": {"?"}}, Unread: map[string]bool{"subject": true}}
	if d := decideOn(t, p, Facts{Content: unread}); d.Action != Reject || d.Rule != "b" || d.Note == "" {
		t.Errorf("unread subject: %+v", d)
	}
	read := Content{Header: map[string][]string{"subject": {"your newsletter"}}}
	if d := decideOn(t, p, Facts{Content: read}); d.Action != Deliver || d.Rule != "a" || d.Note != "" {
		t.Errorf("read subject: %+v", d)
	}
}

// What the client hears is the same whatever decryption found.
func TestInboundAnswerOfSecrets(t *testing.T) {
	rules := map[string][]InboundRule{
		"by result":       {{Result: []string{"fail"}, OnResult: "reject"}},
		"by signature":    {{Signed: "no", OnResult: "reject"}, {OnResult: "deliver"}},
		"by signer":       {{Signer: []string{"good.example"}}, {OnResult: "reject"}},
		"by algorithm":    {{Algorithm: []string{"sha-1"}, OnResult: "reject"}},
		"by chain":        {{ExceptChain: []string{"trusted"}, OnResult: "reject"}},
		"by reason":       {{Reason: []string{"*"}, OnResult: "reject"}},
		"all":             {{OnResult: "reject"}},
		"by encryption":   {{Encrypted: "yes", OnResult: "reject"}},
		"by cipher":       {{Algorithm: []string{"*-cbc"}, OnResult: "reject"}},
		"after a deliver": {{Result: []string{"pass"}}, {Encrypted: "yes", OnResult: "reject"}},
	}
	founds := []Found{
		{Result: "pass", Signed: true, Chain: "trusted", Algorithms: []string{"sha-256"}},
		{Result: "fail", Signed: true, Reason: "content-changed", Algorithms: []string{"sha-1"}},
		{Result: "temperror", Signed: true, Reason: "revocation-unknown"},
		{Result: "permerror", Reason: "not-decryptable"},
		{Result: "none", Reason: "no-key"},
		{Result: "none"},
	}
	for name, list := range rules {
		p := inboundPolicy(t, list...)
		answers := map[string]bool{}
		for _, f := range founds {
			f.Secret, f.Encrypted, f.Cipher = true, true, "aes-128-cbc"
			d := decideOn(t, p, Facts{Found: f})
			answer := "accepted"
			if d.Action == Reject {
				answer = d.Reason
				if d.Temporary {
					answer += ", later"
				}
			}
			answers[answer] = true
		}
		if len(answers) != 1 {
			t.Errorf("%s: the client can tell messages apart: %v", name, answers)
		}
	}
}

func TestInboundTemporary(t *testing.T) {
	p := inboundPolicy(t, InboundRule{ExceptResult: []string{"pass"}, OnResult: "reject"})
	if d := decideOn(t, p, Facts{Found: Found{Result: "temperror", Signed: true}}); !d.Temporary {
		t.Errorf("%+v", d)
	}
	if d := decideOn(t, p, Facts{Found: Found{Result: "fail", Signed: true}}); d.Temporary || d.Action != Reject {
		t.Errorf("%+v", d)
	}
}

// A refusal is for good only where no later check, of the signature or of a group, can lead
// to anything else.
func TestInboundTemporaryByAllRules(t *testing.T) {
	pass, strict, group := []string{"pass"}, InboundRule{OnResult: "reject"}, []string{"staff@own.example"}
	const notNow = "its S/MIME signature cannot be checked now: revocation unknown"
	for name, tt := range map[string]struct {
		rules     []InboundRule
		temporary bool
		reason    string
	}{
		"all":                     {[]InboundRule{strict}, false, "policy does not accept it"},
		"not encrypted":           {[]InboundRule{{Encrypted: "no", OnResult: "reject"}}, false, "it is not encrypted"},
		"pass above":              {[]InboundRule{{Result: pass}, strict}, true, notNow},
		"chain above":             {[]InboundRule{{Chain: []string{"trusted"}}, strict}, true, notNow},
		"signer above, tagged":    {[]InboundRule{{Signer: []string{"good.example"}, OnResult: "tag"}, strict}, true, notNow},
		"pass in quarantine":      {[]InboundRule{{Result: pass, OnResult: "quarantine"}, strict}, true, notNow},
		"pass above, plain below": {[]InboundRule{{Result: pass}, {Encrypted: "no", OnResult: "reject"}}, true, notNow},
		"report above":            {[]InboundRule{{Result: pass, OnResult: "reject", Mode: "report"}, strict}, true, notNow},
		"refused either way":      {[]InboundRule{{ExceptResult: pass, OnResult: "reject"}, strict}, false, "policy does not accept it"},
		"of another sender":       {[]InboundRule{{Result: pass, Sender: []string{"x.example"}}, strict}, false, "policy does not accept it"},
		"signed above":            {[]InboundRule{{Signed: "no"}, strict}, false, "policy does not accept it"},
		"algorithm, used":         {[]InboundRule{{Algorithm: []string{"sha-1"}, OnResult: "reject"}}, false, "policy does not accept it"},
		"algorithm, unused":       {[]InboundRule{{Algorithm: []string{"sha-256"}}, strict}, true, notNow},
		"group below":             {[]InboundRule{{ExceptResult: pass, OnResult: "reject"}, {RecipientGroup: group}, strict}, true, notNow},
	} {
		d := decideOn(t, inboundPolicy(t, tt.rules...), Facts{Found: Found{Result: "temperror", Reason: "revocation-unknown", Signed: true, Algorithms: []string{"sha-1"}}})
		if d.Action != Reject || d.Temporary != tt.temporary || d.Reason != tt.reason {
			t.Errorf("%s: %+v, want %t %q", name, d, tt.temporary, tt.reason)
		}
	}
	quarantined := decideOn(t, inboundPolicy(t, InboundRule{Result: pass}, InboundRule{OnResult: "quarantine"}),
		Facts{Found: Found{Result: "temperror", Reason: "revocation-unknown", Signed: true}})
	if quarantined.Temporary || quarantined.Reason != notNow {
		t.Errorf("%+v", quarantined)
	}
}

// The reason is what the rule is for.
func TestInboundReasons(t *testing.T) {
	for _, tt := range []struct {
		rule  InboundRule
		found Found
		want  string
	}{
		{InboundRule{Encrypted: "no"}, Found{Result: "none"}, "it is not encrypted"},
		{InboundRule{Encrypted: "no"}, Found{Result: "pass", Signed: true}, "it is not encrypted"},
		{InboundRule{Encrypted: "no", ExceptResult: []string{"pass"}}, Found{Result: "fail", Signed: true, Reason: "expired"}, "its S/MIME signature is not valid: expired"},
		{InboundRule{Encrypted: "no", ExceptResult: []string{"pass"}}, Found{Result: "none"}, "it has no S/MIME signature"},
		{InboundRule{Signed: "no"}, Found{Result: "none"}, "it has no S/MIME signature"},
		{InboundRule{Signed: "no"}, Found{Result: "none", Encrypted: true}, "it is encrypted and not signed"},
		{InboundRule{Result: []string{"pass"}}, Found{Result: "pass", Signed: true}, "its S/MIME signature is valid, and policy does not accept it"},
		{InboundRule{ExceptResult: []string{"pass"}}, Found{Result: "fail", Reason: "wrong-address", Signed: true}, "its S/MIME signature is not valid: wrong address"},
	} {
		tt.rule.OnResult = "reject"
		if d := decideOn(t, inboundPolicy(t, tt.rule), Facts{Found: tt.found}); d.Reason != tt.want {
			t.Errorf("%+v: %q, want %q", tt.found, d.Reason, tt.want)
		}
	}
}

func TestInboundReportMode(t *testing.T) {
	p := inboundPolicy(t, InboundRule{Signed: "no", OnResult: "reject", Mode: "report"})
	d := decideOn(t, p, Facts{Found: Found{Result: "none"}})
	if d.Action != Deliver || d.Report != "refused: it has no S/MIME signature" {
		t.Errorf("%+v", d)
	}
}

func TestWithoutInboundRules(t *testing.T) {
	var p *InboundPolicy
	if d := decideOn(t, p, Facts{Found: Found{Result: "fail"}}); d.Action != Deliver || d.Rule != "" {
		t.Errorf("%+v", d)
	}
}

func TestInboundProblems(t *testing.T) {
	for want, rules := range map[string][]InboundRule{
		`line 3: inbound_rule "x": on_result: "drop" is not known; write one of deliver, quarantine, reject, tag`:                                           {{OnResult: "drop"}},
		`line 3: inbound_rule "x": result: "good": is not known; write one of none, pass, fail, policy, neutral, temperror, permerror`:                      {{Result: []string{"good"}}},
		`line 3: inbound_rule "x": signer: "sha256:12": is not a SHA-256 fingerprint of 64 hexadecimal digits; openssl x509 -fingerprint -sha256 prints it`: {{Signer: []string{"sha256:12"}}},
		`line 3: inbound_rule "x": signer: "@x": neither an address, a domain, ".domain", a glob nor "sha256:" with a fingerprint; write one of them`:       {{Signer: []string{"@x"}}},
		`line 3: inbound_rule "x": notify: has an effect only with on_result = "quarantine"; remove it`:                                                     {{Signed: "yes", Notify: []string{"a@b.example"}}},
		`line 3: inbound_rule "x": notify: "bob" is neither an address nor "recipient"; write one of them`:                                                  {{OnResult: "quarantine", Notify: []string{"bob"}}},
		`line 3: inbound_rule "x": matches every message, so the rules below it are never used; add a condition or move it to the end`:                      {{}, {Name: "y"}},
		`line 0: inbound_rule "x": name: is used by an earlier rule too (line 3); choose another`:                                                           {{Signed: "no"}, {Name: "x"}},
	} {
		rules[0].Name, rules[0].Line = "x", 3
		_, err := CompileInbound(rules)
		want = strings.TrimPrefix(want, "line 0: ")
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// Forms that rules share are counted once, and there are no more copies than recipients.
func TestCopiesOfAllForms(t *testing.T) {
	p, err := CompileInbound([]InboundRule{
		{Name: "a", Sender: []string{"a.example"}, Deliver: "readable", Original: "attach"},
		{Name: "b", Sender: []string{"b.example"}, Deliver: "readable", Original: "attach"},
		{Name: "c", Sender: []string{"c.example"}, Deliver: "readable"},
		{Name: "d", OnResult: "quarantine"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if one, many := p.Copies(1), p.Copies(9); one != 3 || many != 4 {
		t.Errorf("%d and %d copies", one, many)
	}
	if n := (*InboundPolicy)(nil).Copies(9); n != 0 {
		t.Errorf("%d copies without rules", n)
	}
}

// A rule in report mode tags nothing, and what changes nothing cannot be tagged.
func TestInboundTag(t *testing.T) {
	p := inboundPolicy(t, InboundRule{Signed: "yes", OnResult: "tag"})
	if d := decideOn(t, p, Facts{Found: Found{Signed: true, Result: "fail"}}); d.Action != Tag || d.Reason != "" || !p.Tags() {
		t.Errorf("%+v, %t", d, p.Tags())
	}
	p = inboundPolicy(t, InboundRule{Signed: "yes", OnResult: "tag", Mode: "report"})
	if d := decideOn(t, p, Facts{Found: Found{Signed: true}}); d.Action != Deliver || d.Report != "delivered with a tag" || p.Tags() {
		t.Errorf("%+v, %t", d, p.Tags())
	}
	if _, err := CompileInbound([]InboundRule{{Name: "a", OnResult: "tag", Deliver: "as-is"}}); err == nil {
		t.Error(`tagged "as-is"`)
	}
	secret := Found{Signed: true, Result: "pass", Secret: true, Encrypted: true}
	if d := decideOn(t, inboundPolicy(t, InboundRule{Result: []string{"pass"}, OnResult: "tag"}), Facts{Found: secret}); d.Silent {
		t.Error("a tag withholds nothing, and reports to the sender stop")
	}
}
