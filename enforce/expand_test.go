package enforce

import (
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func expanding(t *testing.T, last Rule) *Policy {
	t.Helper()
	last.Name = DefaultRule
	p, err := Compile([]Rule{
		{Name: "staff", Recipient: []string{"staff@own.example"}, ExpandGroups: true, Sign: "never", Encrypt: "never"},
		{Name: "report", Recipient: []string{"report.example"}, Mode: "report", Sign: "never", Encrypt: "never"},
		{Name: "hold", Recipient: []string{"hold.example"}, Encrypt: "require", NoCertificate: "hold"},
		{Name: "strip", Recipient: []string{"strip.example"}, Encrypt: "require", NoCertificate: "strip"},
		last,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGroupsThatStandThere(t *testing.T) {
	p := expanding(t, Rule{Sign: "never", Encrypt: "require"})
	f := facts(t, "staff@own.example has@x.example")
	tests := []struct {
		group GroupFacts
		want  string
	}{
		{GroupFacts{}, "deferred; deferred"},
		{GroupFacts{Asked: true, Reason: "no answer"}, "deferred; deferred"},
		{GroupFacts{State: EmptyGroup, Asked: true}, "refused; copy 1 encrypted to 1"},
	}
	for _, tt := range tests {
		f.Recipients[0].Group = tt.group
		if got := summary(f, Decide(p, &f)); got != tt.want {
			t.Errorf("%+v: %s", tt.group, got)
		}
		if n := p.Needs(&f); n.Expand[0] == tt.group.Asked || n.Expand[1] {
			t.Errorf("%+v: %+v", tt.group, n)
		}
	}
	// A mailbox, and one that came by another group, are what they are.
	f = facts(t, "staff@own.example")
	f.Recipients[0].Group.State = NoGroup
	if got := summary(f, Decide(p, &f)); got != "copy 1" {
		t.Error(got)
	}
	f.Recipients[0] = RecipientFacts{Address: f.Recipients[0].Address, Unnamed: true, Through: []address.Address{mustParse(t, "all@own.example")}}
	if got := summary(f, Decide(p, &f)); got != "copy 1" || p.Needs(&f).Expand[0] {
		t.Error(got)
	}
}

// The group has one answer: as long as one member waits, nothing is decided on
// the others.
func TestMembersWaitTogether(t *testing.T) {
	p := expanding(t, Rule{Sign: "never", Encrypt: "require"})
	staff, all := mustParse(t, "staff@own.example"), mustParse(t, "all@own.example")
	tests := []struct {
		to, want string
		through  map[int][]address.Address
	}{
		{"has@x.example none@x.example", "copy 1 encrypted to 1; refused", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"has@x.example none@strip.example", "copy 1 encrypted to 1; stripped", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"has@x.example open@x.example", "deferred; deferred", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"has@x.example none@hold.example", "copy 1 encrypted to 1; held", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"open@x.example none@hold.example", "deferred; deferred", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"open@x.example none@hold.example", "deferred; deferred", map[int][]address.Address{0: {staff}}},
		{"none@x.example open@x.example", "deferred; deferred", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"none@strip.example open@x.example", "deferred; deferred", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"x@report.example open@x.example", "deferred; deferred", map[int][]address.Address{0: {staff}, 1: {staff}}},
		{"x@report.example open@x.example", "copy 1; deferred", nil},
		{"has@x.example open@x.example none@x.example", "deferred; deferred; refused", map[int][]address.Address{1: {staff}}},
		{"none@x.example open@x.example has@x.example", "deferred; deferred; deferred", map[int][]address.Address{0: {all}, 1: {staff}, 2: {all, staff}}},
	}
	for _, tt := range tests {
		f := facts(t, tt.to)
		for i, groups := range tt.through {
			f.Recipients[i].Through, f.Recipients[i].Unnamed = groups, true
		}
		plan := Decide(p, &f)
		if got := summary(f, plan); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.to, got, tt.want)
		}
		if err := p.Check(&f, plan); err != nil {
			t.Errorf("%s: %v", tt.to, err)
		}
	}
}

func TestCheckRefusesAPartialGroup(t *testing.T) {
	p := expanding(t, Rule{Sign: "never", Encrypt: "prefer"})
	staff := mustParse(t, "staff@own.example")
	f := facts(t, "has@x.example open@x.example")
	f.Recipients[0].Through, f.Recipients[1].Through = []address.Address{staff}, []address.Address{staff}
	good := Decide(p, &f)
	assigned := good.Refused[0].Assigned
	copied := Copy{Recipients: []Assigned{assigned}, Encrypt: &Encrypt{Certificates: f.Recipients[0].Certificate.Usable}}
	for name, plan := range map[string]Plan{
		"one gets it":    {Copies: []Copy{copied}, Refused: good.Refused[1:]},
		"one is refused": {Refused: []Refusal{{Assigned: assigned}, good.Refused[1]}},
		"one is removed": {Stripped: []Refusal{{Assigned: assigned}}, Refused: good.Refused[1:]},
	} {
		if err := p.Check(&f, plan); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	// What may be a group gets no copy.
	f = facts(t, "staff@own.example")
	plan := Plan{Copies: []Copy{{Recipients: []Assigned{{Address: f.Recipients[0].Address}}}}}
	if err := p.Check(&f, plan); err == nil {
		t.Error("a copy for what may be a group passes")
	}
	f.Recipients[0].Group.State = NoGroup
	if err := p.Check(&f, plan); err != nil {
		t.Error(err)
	}
}
