package enforce

import (
	"net/netip"
	"testing"
)

// message is one that all conditions of the table look at.
func conditionFacts(t *testing.T) Facts {
	f := facts(t, "x@plain.example y@plain.example")
	f.Client = Client{User: "Alice@own.example", Addr: netip.MustParseAddr("::ffff:192.0.2.7"), Listener: "submission"}
	f.Content = Content{
		Header: map[string][]string{
			"subject": {"Quarterly Figures"}, "x-class": {"Secret", "other"}, "sensitivity": {"Private"}, "importance": {"High"},
		},
		Size: 1000, Signed: true,
		Attachments: []Attachment{{MediaType: "application/pdf", Name: "Offer.PDF"}, {MediaType: "image/png"}},
	}
	return f
}

func TestConditions(t *testing.T) {
	list := func(s ...string) []string { return s }
	tests := []struct {
		name string
		rule Rule
		want bool
	}{
		{"user", Rule{User: list("bob", "alice@*")}, true},
		{"another user", Rule{User: list("bob")}, false},
		{"except user", Rule{ExceptUser: list("alice@own.example")}, false},
		{"network", Rule{Network: list("198.51.100.0/24", "192.0.2.0/28")}, true},
		{"another network", Rule{Network: list("192.0.2.128/25")}, false},
		{"listener", Rule{Listener: list("sub*")}, true},
		{"except listener", Rule{ExceptListener: list("submission")}, false},
		{"header is there", Rule{Header: list("X-Class")}, true},
		{"header is not there", Rule{Header: list("X-Other")}, false},
		{"header equals", Rule{Header: list("x-class: SECRET")}, true},
		{"header is part", Rule{Header: list("X-Class: sec")}, false},
		{"header matches", Rule{Header: list("X-Class ~ ^oth")}, true},
		{"header matches not", Rule{Header: list("X-Class ~ ^her")}, false},
		{"except header", Rule{ExceptHeader: list("X-Class")}, false},
		{"subject", Rule{Subject: list("figures")}, true},
		{"another subject", Rule{Subject: list("pictures")}, false},
		{"sensitivity", Rule{Sensitivity: list("private")}, true},
		{"importance", Rule{Importance: list("low")}, false},
		{"attachment name", Rule{Attachment: list("*.pdf")}, true},
		{"attachment type", Rule{Attachment: list("image/*")}, true},
		{"another attachment", Rule{Attachment: list("*.exe", "video/*")}, false},
		{"except attachment", Rule{ExceptAttachment: list("*.exe")}, true},
		{"signed", Rule{Signed: "yes"}, true},
		{"not signed", Rule{Signed: "no"}, false},
		{"not encrypted", Rule{Encrypted: "no"}, true},
		{"larger", Rule{LargerThan: 999}, true},
		{"not larger", Rule{LargerThan: 1000}, false},
		{"smaller", Rule{SmallerThan: 1001}, true},
		{"not smaller", Rule{SmallerThan: 1000}, false},
		{"more recipients", Rule{MoreRecipients: 1}, true},
		{"not more recipients", Rule{MoreRecipients: 2}, false},
		{"fewer recipients", Rule{FewerRecipients: 3}, true},
		{"not fewer recipients", Rule{FewerRecipients: 2}, false},
		{"all of several", Rule{Subject: list("figures"), Network: list("192.0.2.0/24"), Signed: "yes"}, true},
		{"not all of several", Rule{Subject: list("figures"), Network: list("198.51.100.0/24")}, false},
		{"direction", Rule{Direction: "outbound"}, true},
		{"null sender", Rule{Sender: list("<>")}, false},
	}
	for _, tt := range tests {
		tt.rule.Name, tt.rule.Sign = "it", "prefer"
		p, err := Compile([]Rule{tt.rule, last})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		f := conditionFacts(t)
		if got := p.match(&f, &f.Recipients[0]).name == "it"; got != tt.want {
			t.Errorf("%s: matches %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What only the message can tell keeps a recipient from being refused early.
func TestLateConditionsWait(t *testing.T) {
	require := Rule{Name: "require", Recipient: []string{"plain.example"}, Encrypt: "require"}
	f := facts(t, "none@plain.example")
	f.Recipients[0].Certificate.State = None
	for name, above := range map[string]Rule{
		"subject":   {Subject: []string{"x"}},
		"encrypted": {Encrypted: "yes"},
		"size":      {LargerThan: 1},
	} {
		above.Name, above.Sign = "above", "never"
		p, err := Compile([]Rule{above, require, last})
		if err != nil {
			t.Fatal(err)
		}
		if _, refused := p.AtRCPT(&f); refused || !p.Early(&f).Lookup {
			t.Errorf("%s: decided early", name)
		}
		above.Recipient = []string{"elsewhere.example"}
		if p, err = Compile([]Rule{above, require, last}); err != nil {
			t.Fatal(err)
		}
		if _, refused := p.AtRCPT(&f); !refused {
			t.Errorf("%s: a rule for others makes it wait", name)
		}
	}
}
