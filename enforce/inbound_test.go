package enforce

import (
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func TestDemands(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "energy", Line: 1, Direction: "inbound", Sender: []string{"energy.example"}, Profile: "edi"},
		{Name: "board", Line: 5, Direction: "inbound", Recipient: []string{"ceo@own.example"}, Profile: "strong"},
		{Name: "outwards", Direction: "outbound", Sign: "never", Encrypt: "never", Profile: "other"},
		{Name: "default", Line: 9, Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ sender, from, to, want string }{
		{"a@x.example", "a@x.example", "bob@own.example", "[[{default 9 default}]]"},
		{"a@energy.example", "a@energy.example", "bob@own.example", "[[{energy 1 edi}]]"},
		{"bounce@list.example", "a@energy.example", "bob@own.example", "[[{default 9 default} {energy 1 edi}]]"},
		{"", "a@energy.example", "bob@own.example", "[[{default 9 default} {energy 1 edi}]]"},
		{"a@energy.example", "ceo@x.example", "ceo@own.example", "[[{energy 1 edi} {board 5 strong}]]"},
	} {
		f := Facts{Direction: Inbound, From: []address.Address{mustParse(t, tt.from)},
			Recipients: []RecipientFacts{{Address: mustParse(t, tt.to)}}}
		if tt.sender != "" {
			f.Sender = mustParse(t, tt.sender)
		}
		if got := fmt.Sprint(p.Demands(&f)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// Where it is unknown whether a rule matches, its profile counts and so does
// that of the rule below: the status may become worse by that, and never better.
func TestDemandsOfGroups(t *testing.T) {
	p, err := Compile([]Rule{
		{Name: "partners", Direction: "inbound", SenderGroup: []string{"partners@own.example"}, Profile: "edi"},
		{Name: "board", Direction: "inbound", RecipientGroup: []string{"board@own.example"}, Profile: "strong"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	})
	if err != nil {
		t.Fatal(err)
	}
	known := func(group string, m Membership) map[string]MembershipFacts {
		return map[string]MembershipFacts{group: {State: m}}
	}
	for _, tt := range []struct {
		sender, author, recipient Membership
		want                      string
	}{
		{NotMember, NotMember, NotMember, "[[{default 0 default}]]"},
		{Member, Member, NotMember, "[[{partners 0 edi}]]"},
		{NotMember, Member, NotMember, "[[{default 0 default} {partners 0 edi}]]"},
		{NotMember, NotMember, Member, "[[{board 0 strong}]]"},
		{NotMember, NotMember, MemberUnknown, "[[{board 0 strong} {default 0 default}]]"},
		{NotMember, MemberUnknown, NotMember, "[[{default 0 default} {partners 0 edi}]]"},
		{MemberUnknown, MemberUnknown, MemberUnknown, "[[{partners 0 edi} {board 0 strong} {default 0 default}]]"},
	} {
		f := Facts{
			Direction: Inbound, Sender: mustParse(t, "a@x.example"), From: []address.Address{mustParse(t, "b@x.example")},
			SenderGroups: known("partners@own.example", tt.sender), AuthorGroups: []map[string]MembershipFacts{known("partners@own.example", tt.author)},
			Recipients: []RecipientFacts{{Address: mustParse(t, "bob@own.example"), Groups: known("board@own.example", tt.recipient)}},
		}
		if got := fmt.Sprint(p.Demands(&f)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
		f.AuthorGroups, f.SenderGroups, f.Recipients[0].Groups = nil, nil, nil
		if n := p.Needs(&f); len(n.SenderGroups) != 1 || len(n.Groups[0]) != 1 {
			t.Errorf("needs %+v", n)
		}
		if got := fmt.Sprint(p.Demands(&f)); got != "[[{partners 0 edi} {board 0 strong} {default 0 default}]]" {
			t.Errorf("nothing was asked for: %s", got)
		}
	}
}
