package enforce

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/smime/address"
)

// groupNames are those of the generated rules.
var groupNames = []string{"g1@own.example", "cn=g2,dc=own,dc=example", "g3@own.example"}

func genGroupConditions(t *rapid.T, r *Rule) {
	list := func(label string) []string {
		if rapid.IntRange(0, 5).Draw(t, label) != 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(groupNames), 1, 2).Draw(t, label+" names")
	}
	r.SenderGroup, r.ExceptSenderGroup = list("sender_group"), list("except_sender_group")
	r.RecipientGroup, r.ExceptRecipientGroup = list("recipient_group"), list("except_recipient_group")
	if r.SenderGroup != nil || r.ExceptSenderGroup != nil || r.RecipientGroup != nil || r.ExceptRecipientGroup != nil {
		r.GroupUnknown = oneOf(t, "group_unknown", "", "", "defer", "member", "other")
	}
	r.ExpandGroups = rapid.IntRange(0, 7).Draw(t, "expand_groups") == 0
}

func genMemberships(t *rapid.T, who string) map[string]MembershipFacts {
	known := make(map[string]MembershipFacts)
	for _, name := range groupNames {
		// MemberUnknown is drawn less often than the others, or it drowns them.
		known[name] = MembershipFacts{State: rapid.SampledFrom([]Membership{MemberUnknown, Member, Member, NotMember, NotMember}).Draw(t, who+" in "+name)}
	}
	return known
}

func genRecipientGroups(t *rapid.T, r *RecipientFacts) {
	r.Groups = genMemberships(t, "recipient")
	r.Group.State = rapid.SampledFrom([]GroupState{NoGroup, NoGroup, NoGroup, GroupStateUnknown, EmptyGroup}).Draw(t, "group")
	if rapid.IntRange(0, 3).Draw(t, "through") == 0 {
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"staff@own.example", "all@own.example"}), 1, 2).Draw(t, "through groups") {
			a, err := address.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			r.Through = append(r.Through, a)
		}
		r.Unnamed = rapid.Bool().Draw(t, "unnamed")
	}
}

// tell puts an answer in the place of each MemberUnknown.
func tell(t *rapid.T, known map[string]MembershipFacts) {
	for name, m := range known {
		if m.State == MemberUnknown {
			known[name] = MembershipFacts{State: rapid.SampledFrom([]Membership{Member, NotMember}).Draw(t, "drawn "+name)}
		}
	}
}

// allKnown returns f with every membership known.
func allKnown(t *rapid.T, f Facts) Facts {
	f.SenderGroups = maps.Clone(f.SenderGroups)
	tell(t, f.SenderGroups)
	recipients := f.Recipients
	f.Recipients = nil
	for _, r := range recipients {
		r.Groups = maps.Clone(r.Groups)
		tell(t, r.Groups)
		f.Recipients = append(f.Recipients, r)
	}
	return f
}

// Whatever the directory would have answered: no recipient gets by an unknown
// membership what another answer would have denied, unless the rule says so.
func TestUnknownMembershipsNeverChooseTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t)
		for i := range rules {
			rules[i].GroupUnknown = ""
		}
		p, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		f := genFacts(t)
		known := allKnown(t, f)
		for _, c := range Decide(p, &f).Copies {
			for _, a := range c.Recipients {
				r := p.match(&known, &known.Recipients[a.Index])
				if _, encrypt := r.wants(&known); c.Encrypt == nil && encrypt == require && !r.report && !r.untouched(&known, &known.Recipients[a.Index]) {
					t.Fatalf("%s gets the message in the clear, and rule %q requires encryption", a.Address, r.name)
				}
				if !f.Content.Encrypted && r.name != a.Rule {
					t.Fatalf("%s gets a copy by rule %q, and rule %q decides", a.Address, a.Rule, r.name)
				}
			}
		}
	})
}

// What Needs asks for is enough: with it answered, every recipient has a rule.
func TestNeededGroupsAreEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		all := f.SenderGroups
		f.SenderGroups = nil
		answers := make([]map[string]MembershipFacts, len(f.Recipients))
		for i := range f.Recipients {
			answers[i], f.Recipients[i].Groups = f.Recipients[i].Groups, nil
		}
		tell(t, all)
		n := p.Needs(&f)
		f.SenderGroups = pick(all, n.SenderGroups)
		for i := range f.Recipients {
			tell(t, answers[i])
			f.Recipients[i].Groups = pick(answers[i], n.Groups[i])
		}
		again := p.Needs(&f)
		if len(again.SenderGroups) > 0 {
			t.Fatalf("asks again for %v", again.SenderGroups)
		}
		for i := range f.Recipients {
			if c := p.decided(&f, &f.Recipients[i]); c.open != "" && !p.sealed(&f) || len(again.Groups[i]) > 0 {
				t.Fatalf("%s: rule %q: %s, asks again for %v", f.Recipients[i].Address, c.rule.name, c.open, again.Groups[i])
			}
		}
	})
}

func pick(all map[string]MembershipFacts, names []string) map[string]MembershipFacts {
	some := make(map[string]MembershipFacts)
	for _, name := range names {
		some[name] = all[name]
	}
	return some
}

func TestGroupConditions(t *testing.T) {
	const in, out, open = "in@own.example", "cn=out,dc=own", "open@own.example"
	list := func(s ...string) []string { return s }
	tests := []struct {
		name string
		rule Rule
		want string // outcome of x@plain.example, which the default leaves alone
	}{
		{"member", Rule{RecipientGroup: list(in)}, "refused"},
		{"one of two", Rule{RecipientGroup: list(out, in)}, "refused"},
		{"one of two, the other open", Rule{RecipientGroup: list(open, in)}, "refused"},
		{"other", Rule{RecipientGroup: list(out)}, "copy 1"},
		{"open", Rule{RecipientGroup: list(open)}, "deferred"},
		{"open beside other", Rule{RecipientGroup: list(out, open)}, "deferred"},
		{"open, taken for a member", Rule{RecipientGroup: list(open), GroupUnknown: "member"}, "refused"},
		{"open, taken for an other", Rule{RecipientGroup: list(open), GroupUnknown: "other"}, "copy 1"},
		{"open, and another condition fails", Rule{RecipientGroup: list(open), Recipient: list("elsewhere.example")}, "copy 1"},
		{"open, and another group fails", Rule{RecipientGroup: list(open), ExceptRecipientGroup: list(in)}, "copy 1"},
		{"except member", Rule{ExceptRecipientGroup: list(in)}, "copy 1"},
		{"except other", Rule{ExceptRecipientGroup: list(out)}, "refused"},
		{"except open", Rule{ExceptRecipientGroup: list(open)}, "deferred"},
		{"except open, taken for a member", Rule{ExceptRecipientGroup: list(open), GroupUnknown: "member"}, "copy 1"},
		{"not looked up", Rule{RecipientGroup: list("unheard@own.example")}, "deferred"},
		{"sender", Rule{SenderGroup: list(in)}, "refused"},
		{"sender is another", Rule{SenderGroup: list(out)}, "copy 1"},
		{"sender is open", Rule{SenderGroup: list(open)}, "deferred"},
		{"except sender", Rule{ExceptSenderGroup: list(in)}, "copy 1"},
		{"address in another case", Rule{RecipientGroup: list("IN@OWN.example")}, "refused"},
	}
	known := map[string]MembershipFacts{in: {State: Member}, out: {State: NotMember}, open: {Reason: "no answer"}}
	for _, tt := range tests {
		tt.rule.Name, tt.rule.Encrypt = "enc", "require"
		p, err := Compile([]Rule{tt.rule, {Name: "default", Sign: "never", Encrypt: "never"}})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "none@plain.example")
		f.SenderGroups, f.Recipients[0].Groups = known, known
		if got := summary(f, Decide(p, &f)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if e := p.Early(&f); e.Refusable || !e.Lookup && tt.rule.Recipient == nil {
			t.Errorf("%s: early %+v", tt.name, e)
		}
	}
}

// The null sender is in no group, and no directory is asked for it.
func TestNullSenderIsInNoGroup(t *testing.T) {
	p, err := Compile([]Rule{{Name: "g", SenderGroup: []string{"g@own.example"}, Encrypt: "require"}, {Name: "default", Sign: "never", Encrypt: "never"}})
	if err != nil {
		t.Fatal(err)
	}
	f := facts(t, "none@plain.example")
	f.Sender = address.Null
	if got := summary(f, Decide(p, &f)); got != "copy 1" || len(p.Needs(&f).SenderGroups) > 0 {
		t.Errorf("%s, asks for %v", got, p.Needs(&f).SenderGroups)
	}
}

func TestUndecidedIsSaidAndHoldsTheOthers(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "group", Recipient: []string{"own.example"}, RecipientGroup: []string{"board@own.example"}, Encrypt: "require"},
		{Name: "secret", Recipient: []string{"secret.example"}, Encrypt: "require"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := facts(t, "x@own.example has@secret.example none@secret.example")
	f.Recipients[0].Groups = map[string]MembershipFacts{"board@own.example": {Reason: "no answer within 2s"}}
	plan := Decide(p, &f)
	if got := summary(f, plan); got != "deferred; deferred; refused" {
		t.Error(got)
	}
	const want = "cannot look up now whether x@own.example is in the group board@own.example: no answer within 2s"
	for _, r := range plan.Refused {
		if r.Index == 0 && (r.Reason != want || r.Missing != MissingGroup || r.Rule != "group") {
			t.Errorf("%+v", r)
		}
	}
	// What is encrypted already passes by every rule.
	f.Content.Encrypted = true
	if got := summary(f, Decide(p, &f)); got != "copy 1; copy 1; copy 1" {
		t.Error(got)
	}
}

func TestBrokenGroups(t *testing.T) {
	for want, r := range map[string]Rule{
		`sender_group: "board": neither the address nor the distinguished name of a group; name each, without wildcards`:                {SenderGroup: []string{"board"}},
		`recipient_group: "cn=,dc=x": not a distinguished name; write one such as "cn=board,ou=groups,dc=example,dc=org"`:               {RecipientGroup: []string{"cn=,dc=x"}},
		`except_recipient_group: "*@own.example,=": not a distinguished name; write one such as "cn=board,ou=groups,dc=example,dc=org"`: {ExceptRecipientGroup: []string{"*@own.example,="}},
		`except_sender_group: is an empty list, which never matches; remove it or add a pattern`:                                        {ExceptSenderGroup: []string{}},
		`group_unknown: has an effect only with sender_group, recipient_group or their except_ twins; remove it`:                        {GroupUnknown: "member"},
		`group_unknown: "maybe" is not known; write one of defer, member, other`:                                                        {SenderGroup: []string{"g@own.example"}, GroupUnknown: "maybe"},
	} {
		r.Name, r.Line, r.Encrypt = "x", 1, "prefer"
		if _, err := Compile([]Rule{r, {Name: "default", Sign: "never", Encrypt: "never"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for _, dn := range []string{"cn=a", `cn=a\, b,dc=x`, "CN=Anna Müller,OU=x", "2.5.4.3=x,dc=y", "cn=a+sn=b,dc=x"} {
		if key, err := GroupKey(" " + dn + " "); err != nil || key != dn {
			t.Errorf("%s: %q, %v", dn, key, err)
		}
	}
	for _, dn := range []string{"=x", "cn=a,", ",cn=a", `cn=a\`, "cn=a\x00b", "c n=a", "cn=a,b"} {
		if _, err := GroupKey(dn); err == nil {
			t.Errorf("%q is taken for a distinguished name", dn)
		}
	}
}
