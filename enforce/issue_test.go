package enforce

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWhoIsIssuedFor: a rule that signs and says so, for a message that it would
// sign; in report mode nothing is made.
func TestWhoIsIssuedFor(t *testing.T) {
	for _, c := range []struct {
		name            string
		rule            Rule
		change          func(*Facts)
		issue, issuable bool
	}{
		{"asks", Rule{Sign: "require", Issue: true}, nil, true, true},
		{"prefers", Rule{Sign: "prefer", Issue: true}, nil, true, true},
		{"does not ask", Rule{Sign: "require"}, nil, false, false},
		{"only reports", Rule{Sign: "require", Issue: true, Mode: "report"}, nil, false, true},
		{"at the sender's wish", Rule{Sign: "never", UserControl: []string{"sign"}, Issue: true}, func(f *Facts) { f.Triggers.Sign = true }, true, true},
		{"without the wish", Rule{Sign: "never", UserControl: []string{"sign"}, Issue: true}, nil, false, false},
		{"signed already", Rule{Sign: "require", Issue: true}, func(f *Facts) { f.Content.Signed = true }, false, false},
		{"signed again", Rule{Sign: "require", Issue: true, AlreadySigned: "sign"}, func(f *Facts) { f.Content.Signed = true }, true, true},
		{"encrypted already", Rule{Sign: "require", Issue: true}, func(f *Facts) { f.Content.Encrypted = true }, false, false},
		{"automatic", Rule{Sign: "require", Issue: true}, func(f *Facts) { f.Content.Exempt = true }, false, false},
		{"disagreement", Rule{Sign: "require", Issue: true, FromAlignment: "address"}, func(f *Facts) { f.From = append(f.From, mustParse(t, "b@own.example")) }, false, false},
		{"left alone", Rule{Sign: "require", Issue: true, Calendar: "leave"}, func(f *Facts) { f.Content.Calendar = true }, false, false},
	} {
		c.rule.Name, c.rule.Encrypt = DefaultRule, "never"
		p, err := Compile([]Rule{c.rule})
		if err != nil {
			t.Fatal(c.name, err)
		}
		f := facts(t, "has@p.example")
		f.Identity = None
		if c.change != nil {
			c.change(&f)
		}
		if n := p.Needs(&f); n.Issue != c.issue || n.Issuable != c.issuable {
			t.Errorf("%s: issue %t, issuable %t", c.name, n.Issue, n.Issuable)
		}
	}
}

// TestIssuableIsSaid: an explanation tells what would be done, and that an identity
// comes into being by it.
func TestIssuableIsSaid(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "report", Recipient: []string{"r.example"}, Sign: "require", Encrypt: "never", Issue: true, Mode: "report"},
		{Name: "asks", Recipient: []string{"p.example"}, Sign: "require", Encrypt: "never", Issue: true},
		{Name: DefaultRule, Sign: "prefer", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := facts(t, "none@p.example none@r.example none@q.example")
	f.Identity, f.IdentityReason, f.Issuable = None, "there is none", true
	plan := Decide(p, &f)
	if err := p.Check(&f, plan); err != nil {
		t.Fatal(err)
	}
	notes := map[string]string{}
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			notes[a.Rule] = a.Note + a.Report
			if (c.Sign != nil) != (a.Rule == "asks") {
				t.Errorf("%s: signed %t", a.Rule, c.Sign != nil)
			}
		}
	}
	for rule, want := range map[string]string{
		"asks": "identity issued", "report": "signed: identity issued", DefaultRule: "not signed: there is none",
	} {
		if notes[rule] != want {
			t.Errorf("%s: %q, want %q", rule, notes[rule], want)
		}
	}
	f.SignForbidden = "this client may not"
	if plan := Decide(p, &f); len(plan.Refused) != 1 {
		t.Errorf("issued for one who may not sign: %+v", plan)
	}
}

// TestNothingIsSignedByNobody: a rule that is carried out and signs with an identity
// that is still to be made is one for which Needs has it made, so that without an
// explanation there is always a key.
func TestNothingIsSignedByNobody(t *testing.T) {
	signed := 0
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		f.Identity, f.Issuable, f.SignForbidden = None, true, ""
		needs := p.Needs(&f)
		for _, c := range Decide(p, &f).Copies {
			if c.Sign == nil || c.Sign.Identity != "" {
				continue
			}
			signed++
			if !needs.Issue {
				t.Fatalf("a copy is signed without an identity: %+v", c)
			}
		}
	})
	if signed == 0 {
		t.Error("no case in which an identity was to be made")
	}
}
