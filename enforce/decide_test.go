package enforce

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// summary writes a plan as one line a recipient, in the order of the facts.
func summary(f Facts, plan Plan) string {
	lines := make([]string, len(f.Recipients))
	for n, c := range plan.Copies {
		for _, a := range c.Recipients {
			words := []string{fmt.Sprint("copy ", n+1)}
			if c.Sign != nil {
				words = append(words, "signed")
			}
			if c.Encrypt != nil {
				words = append(words, fmt.Sprintf("encrypted to %d", len(c.Encrypt.Certificates)))
			}
			lines[a.Index] = strings.Join(words, " ")
		}
	}
	for _, r := range plan.Refused {
		lines[r.Index] = "refused"
		if r.Temporary {
			lines[r.Index] = "deferred"
		}
	}
	for _, r := range plan.Stripped {
		lines[r.Index] = "stripped"
	}
	for _, r := range plan.Held {
		lines[r.Index] = "held"
	}
	return strings.Join(lines, "; ")
}

// recipients of the tables: the local part says what is known of them.
func recipientsOf(t *testing.T, list string) []RecipientFacts {
	var all []RecipientFacts
	for i, s := range strings.Fields(list) {
		s, hidden := strings.CutPrefix(s, "bcc:")
		r := RecipientFacts{Address: mustParse(t, s), Hidden: hidden, Certificate: CertificateFacts{Reason: "because"}}
		r.Internal = strings.HasSuffix(s, "@own.example")
		switch {
		case strings.HasPrefix(s, "has"):
			r.Certificate = CertificateFacts{State: Available, Usable: []Fingerprint{{byte(i + 1)}}}
		case strings.HasPrefix(s, "none"):
			r.Certificate.State = None
		case strings.HasPrefix(s, "broken"):
			r.Certificate.State = Available // and nothing usable: a defect
		}
		all = append(all, r)
	}
	return all
}

// facts are those of an outbound message that can be signed.
func facts(t *testing.T, to string) Facts {
	return Facts{Direction: Outbound, Sender: mustParse(t, "a@own.example"), Identity: Available, Recipients: recipientsOf(t, to)}
}

// tableRules has a domain for each treatment.
func tableRules() []Rule {
	enc := func(name, missing, mixed string) Rule {
		return Rule{Name: name, Recipient: []string{name}, Sign: "never", Encrypt: "require", NoCertificate: missing, Mixed: mixed}
	}
	return []Rule{
		enc("reject.example", "", ""), enc("strip.example", "strip", ""), enc("all.example", "reject-message", ""),
		enc("mixed.example", "", "allow"), enc("hold.example", "hold", ""), enc("forbid.example", "", "forbid"),
		{Name: "prefer.example", Recipient: []string{"prefer.example"}, Encrypt: "prefer"},
		{Name: "effort.example", Recipient: []string{"effort.example"}, Encrypt: "prefer", Unavailable: "plain"},
		{Name: "both.example", Recipient: []string{"both.example"}, Encrypt: "prefer", Mixed: "allow"},
		{Name: "strict.example", Recipient: []string{"strict.example"}, Encrypt: "prefer", Mixed: "forbid"},
		{Name: "sign.example", Recipient: []string{"sign.example"}, Sign: "require"},
		{Name: "signs.example", Recipient: []string{"signs.example"}, Sign: "prefer"},
		{Name: "full.example", Recipient: []string{"full.example"}, Sign: "require", Encrypt: "require"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	}
}

func TestDecide(t *testing.T) {
	p, err := Compile(tableRules())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ to, want string }{
		{"x@plain.example", "copy 1"},
		{"has@reject.example", "copy 1 encrypted to 1"},
		{"has1@reject.example has2@reject.example", "copy 1 encrypted to 2; copy 1 encrypted to 2"},
		{"has1@reject.example has2@strip.example", "copy 1 encrypted to 2; copy 1 encrypted to 2"},
		{"has1@reject.example bcc:has2@reject.example", "copy 1 encrypted to 1; copy 2 encrypted to 1"},
		{"bcc:x@plain.example y@plain.example", "copy 1; copy 1"},
		{"none@reject.example has@reject.example", "refused; copy 1 encrypted to 1"},
		{"none@strip.example has@strip.example", "stripped; copy 1 encrypted to 1"},
		{"none@strip.example", "refused"}, // no recipient left: a reply, not a notice
		{"none@strip.example none2@strip.example", "refused; refused"},
		{"none@all.example has@reject.example x@plain.example", "refused; refused; refused"},
		{"unknown@all.example has@reject.example none@strip.example", "deferred; deferred; deferred"},
		{"unknown@all.example none@all.example", "refused; refused"},
		{"has@all.example has2@all.example", "copy 1 encrypted to 2; copy 1 encrypted to 2"},
		{"unknown@reject.example", "deferred"},
		{"broken@reject.example", "deferred"},
		{"unknown@strip.example has@strip.example", "deferred; copy 1 encrypted to 1"},
		{"none@hold.example", "held"},
		{"unknown@hold.example", "deferred"},
		{"none@hold.example none@all.example", "refused; refused"},
		{"none@hold.example unknown@all.example", "deferred; deferred"},
		{"none@hold.example unknown@prefer.example", "deferred; deferred"}, // who may get it in the clear
		{"none@hold.example has@reject.example", "held; copy 1 encrypted to 1"},
		{"has@hold.example none@hold.example", "copy 1 encrypted to 1; held"},
		{"none@hold.example x@plain.example", "held; refused"}, // it will be encrypted one day
		{"none@hold.example none@strip.example", "held; stripped"},
		// Preferred.
		{"has@prefer.example", "copy 1 encrypted to 1"},
		{"none@prefer.example", "copy 1"},
		{"unknown@prefer.example", "deferred"},
		{"unknown@effort.example", "copy 1"},
		{"broken@prefer.example", "deferred"},
		// Never one text both ways.
		{"has@reject.example x@plain.example", "copy 1 encrypted to 1; refused"},
		{"has@reject.example none@prefer.example", "copy 1 encrypted to 1; refused"},
		{"has@reject.example unknown@effort.example", "copy 1 encrypted to 1; refused"},
		{"unknown@reject.example x@plain.example", "deferred; deferred"},
		{"none@reject.example x@plain.example", "refused; copy 1"},
		{"has@mixed.example x@plain.example", "copy 1 encrypted to 1; copy 2"},
		{"unknown@mixed.example x@plain.example", "deferred; copy 1"},
		{"has@prefer.example x@plain.example", "copy 1; copy 1"},
		{"has@prefer.example none@prefer.example", "copy 1; copy 1"},
		{"has@both.example none@both.example", "copy 1 encrypted to 1; copy 2"},
		{"unknown@prefer.example x@plain.example", "deferred; deferred"},
		{"has@reject.example unknown@prefer.example", "deferred; deferred"},
		// Colleagues may have in the clear what is encrypted for others, unless a rule
		// forbids it.
		{"has@reject.example y@own.example", "copy 1 encrypted to 1; copy 2"},
		{"has@reject.example y@own.example x@plain.example", "copy 1 encrypted to 1; copy 2; refused"},
		{"has@forbid.example y@own.example", "copy 1 encrypted to 1; refused"},
		{"has@reject.example has@forbid.example y@own.example", "copy 1 encrypted to 2; copy 1 encrypted to 2; refused"},
		{"none@hold.example y@own.example", "held; copy 1"},
		{"unknown@reject.example y@own.example", "deferred; copy 1"},
		{"unknown@forbid.example y@own.example", "deferred; deferred"},
		{"has@prefer.example y@own.example", "copy 1 encrypted to 1; copy 2"},
		{"has@strict.example y@own.example", "copy 1; copy 1"},
		{"has@strict.example y@own.example has@prefer.example", "copy 1; copy 1; copy 1"}, // who gives way is not internal
		{"has@prefer.example y@own.example has@strict.example", "copy 1; copy 1; copy 1"},
		{"has@strict.example y@own.example has@reject.example", "copy 1 encrypted to 2; copy 2; copy 1 encrypted to 2"},
		// Signed and not signed are no mixture.
		{"x@sign.example y@plain.example", "copy 1 signed; copy 2"},
		{"has@full.example x@signs.example", "copy 1 signed encrypted to 1; refused"},
		{"x@sign.example y@signs.example", "copy 1 signed; copy 1 signed"},
	}
	for _, tt := range tests {
		f := facts(t, tt.to)
		plan := Decide(p, &f)
		// Copies are numbered in the order of their addresses.
		if got := summary(f, plan); got != tt.want && renumbered(got) != renumbered(tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", tt.to, got, tt.want)
		}
		if err := p.Check(&f, plan); err != nil {
			t.Errorf("%s: %v", tt.to, err)
		}
	}
}

// renumbered numbers the copies of a summary in the order in which they occur.
func renumbered(s string) string {
	var seen []string
	words := strings.Fields(s)
	for i, w := range words {
		if i > 0 && words[i-1] == "copy" {
			n := strings.TrimSuffix(w, ";")
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
			words[i] = fmt.Sprint("#", slices.Index(seen, n), strings.TrimPrefix(w, n))
		}
	}
	return strings.Join(words, " ")
}

func TestDecideOnSignatures(t *testing.T) {
	p, err := Compile(tableRules())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, to string
		edit     func(*Facts)
		want     string
	}{
		{"required, none", "x@sign.example", func(f *Facts) { f.Identity = None }, "deferred"},
		{"required, unknown", "x@sign.example", func(f *Facts) { f.Identity = Unknown }, "deferred"},
		{"required, not entitled", "x@sign.example", func(f *Facts) { f.SignForbidden = "no" }, "refused"},
		{"preferred, none", "x@signs.example", func(f *Facts) { f.Identity = None }, "copy 1"},
		{"preferred, unknown", "x@signs.example", func(f *Facts) { f.Identity = Unknown }, "deferred"},
		{"preferred, unknown, not entitled", "x@signs.example", func(f *Facts) { f.Identity, f.SignForbidden = Unknown, "no" }, "copy 1"},
		{"preferred, not entitled", "x@signs.example", func(f *Facts) { f.SignForbidden = "no" }, "copy 1"},
		{"signed already", "x@sign.example", func(f *Facts) { f.Content.Signed = true }, "copy 1"},
		{"signed already, to encrypt", "has@full.example", func(f *Facts) { f.Content.Signed = true }, "copy 1 encrypted to 1"},
		{"signed already, not entitled", "x@sign.example", func(f *Facts) { f.Content.Signed, f.SignForbidden = true, "no" }, "refused"},
		{"signed already, entitled or not", "x@sign.example", func(f *Facts) { f.Content.Signed, f.SignUnknown = true, "no answer" }, "deferred"},
		{"signed already, preferred, not entitled", "x@signs.example", func(f *Facts) { f.Content.Signed, f.SignForbidden = true, "no" }, "copy 1"},
		{"report, none", "x@sign.example", func(f *Facts) { f.Content.Report, f.Identity = true, None }, "copy 1"},
		{"report, unknown", "x@sign.example", func(f *Facts) { f.Content.Report, f.Identity = true, Unknown }, "copy 1"},
		{"report, not by the gateway", "x@sign.example", func(f *Facts) { f.Content.Report, f.SignForbidden = true, "no" }, "copy 1"},
		{"report, signed", "x@sign.example", func(f *Facts) { f.Content.Report = true }, "copy 1 signed"},
		{"report that must be encrypted", "none@full.example", func(f *Facts) { f.Content.Report = true }, "refused"},
		{"encrypted already", "none@full.example unknown@reject.example x@plain.example", func(f *Facts) { f.Content.Encrypted = true }, "copy 1; copy 1; copy 1"},
		{"automatic", "none@full.example", func(f *Facts) { f.Content.Exempt = true }, "copy 1"},
		{"no identity and no certificate", "none@full.example", func(f *Facts) { f.Identity = None }, "refused"},
	}
	for _, tt := range tests {
		f := facts(t, tt.to)
		tt.edit(&f)
		if got := summary(f, Decide(p, &f)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestReasonsAreForPeople(t *testing.T) {
	p, err := Compile(tableRules())
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Direction: Outbound, Recipients: []RecipientFacts{{Address: mustParse(t, "bob@reject.example"), Certificate: CertificateFacts{State: None, Reason: "expired 2026-03-01"}}}}
	if got, want := Decide(p, &f).Refused[0].Reason, "no valid S/MIME certificate for bob@reject.example: expired 2026-03-01"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	f.Recipients = recipientsOf(t, "has@reject.example x@plain.example")
	want := `the message is encrypted for other recipients (rule "reject.example") and may not go to x@plain.example in plaintext; send a separate message to x@plain.example`
	if got := Decide(p, &f).Refused[0].Reason; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestDecideWithoutPolicyRefuses(t *testing.T) {
	f := Facts{Recipients: recipientsOf(t, "has@reject.example")}
	if got := summary(f, Decide(nil, &f)); got != "deferred" {
		t.Errorf("without a policy: %s", got)
	}
}

func TestAtRCPT(t *testing.T) {
	p, err := Compile(tableRules())
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]bool{
		"none@reject.example": true, "has@reject.example": false, "unknown@reject.example": false,
		"none@strip.example": false, "none@all.example": false, "none@prefer.example": false, "none@plain.example": false,
	} {
		f := Facts{Direction: Outbound, Sender: mustParse(t, "a@own.example"), Recipients: recipientsOf(t, to)}
		if _, got := p.AtRCPT(&f); got != want {
			t.Errorf("%s: refused %v, want %v", to, got, want)
		}
		f.Sender = mustParse(t, "<>")
		if _, got := p.AtRCPT(&f); got {
			t.Errorf("%s: a report would be refused", to)
		}
	}
}

// Check must catch what it is for: each of these plans is wrong.
func TestCheckCatches(t *testing.T) {
	p, err := Compile(tableRules())
	if err != nil {
		t.Fatal(err)
	}
	f := facts(t, "has@full.example unknown@prefer.example")
	first := Assigned{Index: 0, Address: f.Recipients[0].Address}
	second := Assigned{Index: 1, Address: f.Recipients[1].Address}
	away := []Refusal{{Assigned: second}}
	good := Copy{Recipients: []Assigned{first}, Sign: &Sign{}, Encrypt: &Encrypt{Certificates: f.Recipients[0].Certificate.Usable}}
	if err := p.Check(&f, Plan{Copies: []Copy{good}, Refused: away}); err != nil {
		t.Fatalf("a good plan is refused: %v", err)
	}
	plain, unsigned, wrong := good, good, good
	plain.Encrypt, unsigned.Sign = nil, nil
	wrong.Encrypt = &Encrypt{Certificates: []Fingerprint{{99}}}
	mixture := facts(t, "has@full.example x@plain.example")
	if p.Check(&mixture, Plan{Copies: []Copy{good, {Recipients: []Assigned{{Index: 1, Address: mixture.Recipients[1].Address}}}}}) == nil {
		t.Error("a mixture passes")
	}
	stranger := good
	stranger.Recipients = []Assigned{{Index: 0, Address: second.Address}}
	for name, plan := range map[string]Plan{
		"plain":         {Copies: []Copy{plain}, Refused: away},
		"unsigned":      {Copies: []Copy{unsigned}, Refused: away},
		"wrong key":     {Copies: []Copy{wrong}, Refused: away},
		"twice":         {Copies: []Copy{good, good}, Refused: away},
		"nowhere":       {Copies: []Copy{good}},
		"other address": {Copies: []Copy{stranger}, Refused: away},
		"unknown clear": {Copies: []Copy{good, {Recipients: []Assigned{second}}}},
	} {
		if p.Check(&f, plan) == nil {
			t.Errorf("%s: the plan passes", name)
		}
	}
}

// What is exempt from signing is not signed and not refused for it, whatever signs;
// encryption is as before.
func TestSignExempt(t *testing.T) {
	for _, r := range []Rule{
		{Sign: "require"}, {Sign: "prefer"}, {Sign: "require", Identity: "gw@own.example"}, {Sign: "require", DomainIdentity: "domain"},
	} {
		r.Name, r.Encrypt = DefaultRule, "never"
		p, err := Compile([]Rule{r})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "x@plain.example")
		f.SignExempt = "not ours"
		f.Identities = map[string]IdentityFacts{"gw@own.example": {State: Available}, OfDomain: {State: Available}}
		plan := Decide(p, &f)
		if err := p.Check(&f, plan); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
		if len(plan.Copies) != 1 || plan.Copies[0].Sign != nil || plan.Copies[0].Recipients[0].Note != "not ours" {
			t.Errorf("%+v: %+v", r, plan)
			continue
		}
		plan.Copies[0].Sign = &Sign{}
		if p.Check(&f, plan) == nil {
			t.Errorf("%+v: a signed copy passes the check", r)
		}
	}
}

// Who is held is asked where the rule says so, and only there.
func TestAsk(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "ask", Recipient: []string{"ask.example"}, Encrypt: "require", NoCertificate: "ask"},
		{Name: "hold", Recipient: []string{"hold.example"}, Encrypt: "require", NoCertificate: "hold"},
		{Name: DefaultRule, Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Sender: mustParse(t, "alice@own.example"), Recipients: recipientsOf(t, "none@ask.example none@hold.example has@ask.example")}
	plan := Decide(p, &f)
	if err := p.Check(&f, plan); err != nil {
		t.Error(err)
	}
	if len(plan.Held) != 2 || !plan.Held[0].Ask || plan.Held[1].Ask {
		t.Errorf("held %+v", plan.Held)
	}
}
