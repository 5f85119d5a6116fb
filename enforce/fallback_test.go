package enforce

import "testing"

// TestDeputy: the identity of a domain signs for senders who have none, and only
// for them.
func TestDeputy(t *testing.T) {
	const domain = `signed by "domain"`
	for _, tt := range []struct {
		name                  string
		own, fallbackIdentity Availability
		change                func(*Facts)
		want                  string
	}{
		{"the sender's own", Available, Available, nil, `signed by ""`},
		{"none", None, Available, nil, domain},
		{"unknown", Unknown, Available, nil, "deferred"},
		{"none at all", None, None, nil, "deferred"},
		{"none, and unknown of the domain's", None, Unknown, nil, "deferred"},
		{"not entitled", None, Available, func(f *Facts) { f.SignForbidden = "no" }, "refused"},
		{"unknown whether entitled", None, Available, func(f *Facts) { f.SignUnknown = "no answer" }, "deferred"},
	} {
		p, err := Compile([]Rule{{Name: DefaultRule, Sign: "require", Encrypt: "never", DomainIdentity: "domain"}})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "none@plain.example")
		f.Identity, f.Identities = tt.own, map[string]IdentityFacts{"domain": {State: tt.fallbackIdentity}}
		if tt.change != nil {
			tt.change(&f)
		}
		if n := p.Needs(&f); len(n.Identities) != 1 || n.Identities[0] != "domain" {
			t.Errorf("%s: needs %v", tt.name, n.Identities)
		}
		plan := Decide(p, &f)
		got := summary(f, plan)
		if len(plan.Copies) == 1 && plan.Copies[0].Sign != nil {
			got = `signed by "` + plan.Copies[0].Sign.Identity + `"`
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
