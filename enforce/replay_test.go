package enforce

import (
	"reflect"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

// TestReplay: what a decision on facts of the past depends on and they do not have is
// named, and all else is decided as it was.
func TestReplay(t *testing.T) {
	mailbox := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	usable := CertificateFacts{State: Available, Usable: []Fingerprint{{1}}}
	// facts are those of a message that was signed for bob, who has a certificate, and carol,
	// of whom nothing was asked.
	facts := func() Facts {
		return Facts{
			Direction: Outbound, Sender: mailbox("alice@example.org"), From: []address.Address{mailbox("alice@example.org")},
			Identity: Available,
			Recipients: []RecipientFacts{
				{Address: mailbox("bob@example.net"), Certificate: usable}, {Address: mailbox("carol@example.com")},
			},
		}
	}
	last := Rule{Name: DefaultRule, Sign: "never", Encrypt: "never"}
	for name, c := range map[string]struct {
		rules  []Rule
		change func(*Facts)
		lacks  [][]string
		bob    string
	}{
		"nothing": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "require", Encrypt: "require", Mixed: "allow"}},
			lacks: [][]string{nil, nil}, bob: "signed, encrypted",
		},
		"a certificate": {
			rules: []Rule{{Name: "a", Encrypt: "prefer", Mixed: "allow", Sign: "never", Sender: []string{"example.org"}}},
			lacks: [][]string{nil, {"certificates of the recipient"}}, bob: "encrypted",
		},
		"a certificate that was not found then": {
			rules:  []Rule{{Name: "a", Encrypt: "require", Mixed: "allow", Sign: "never", Sender: []string{"example.org"}}},
			change: func(f *Facts) { f.Recipients[1].Certificate = CertificateFacts{State: None, Reason: "expired"} },
			lacks:  [][]string{nil, nil}, bob: "encrypted",
		},
		"the header": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Subject: []string{"secret"}, Sign: "never", Encrypt: "require", Mixed: "allow"}},
			lacks: [][]string{{"the header or the attachments"}, nil},
		},
		"an attachment": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Attachment: []string{"*.pdf"}, Sign: "never", Encrypt: "require", Mixed: "allow"}},
			lacks: [][]string{{"the header or the attachments"}, nil},
		},
		"a group": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, RecipientGroup: []string{"board@example.net"}, Sign: "never", Encrypt: "require", Mixed: "allow"}},
			lacks: [][]string{{"group board@example.net"}, {"what becomes of other recipients"}},
		},
		"a group that was asked then": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, RecipientGroup: []string{"board@example.net"}, Sign: "never", Encrypt: "require", Mixed: "allow"}},
			change: func(f *Facts) {
				f.Recipients[0].Groups = map[string]MembershipFacts{"board@example.net": {State: NotMember}}
			},
			lacks: [][]string{nil, nil}, bob: "passed",
		},
		"the identity": {
			rules:  []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "require", Encrypt: "never"}},
			change: func(f *Facts) { f.Identity = Unknown },
			lacks:  [][]string{{"identities of the sender"}, nil},
		},
		"another identity": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "require", Identity: "domain", Encrypt: "never"}},
			lacks: [][]string{{"the identity domain"}, nil},
		},
		"further certificates": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "never", Encrypt: "require", Mixed: "allow", AlsoEncryptTo: []string{"archive@example.org"}}},
			lacks: [][]string{{"certificates of archive@example.org"}, nil},
		},
		"a domain certificate": {
			rules:  []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "never", Encrypt: "require", Mixed: "allow", DomainCertificate: "domain"}},
			change: func(f *Facts) { f.Recipients[0].Certificate = CertificateFacts{State: None, Reason: "expired"} },
			lacks:  [][]string{{"the domain certificate"}, nil},
		},
		"members": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Sign: "never", Encrypt: "require", Mixed: "allow", ExpandGroups: true}},
			lacks: [][]string{{"the members of the recipient"}, {"what becomes of other recipients"}},
		},
		"whether another gets it in the clear": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.net"}, Subject: []string{"secret"}, Sign: "never", Encrypt: "require"}},
			lacks: [][]string{{"the header or the attachments"}, {"what becomes of other recipients"}},
		},
		"what becomes of another": {
			rules: []Rule{{Name: "a", Recipient: []string{"example.com"}, Sign: "never", Encrypt: "require", NoCertificate: "reject-message"}},
			lacks: [][]string{{"what becomes of other recipients"}, {"certificates of the recipient"}},
		},
	} {
		p, err := Compile(append(c.rules, last))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f := facts()
		if c.change != nil {
			c.change(&f)
		}
		got := p.Replay(f)
		if !reflect.DeepEqual(got.Lacks, c.lacks) {
			t.Errorf("%s: lacks %q, want %q", name, got.Lacks, c.lacks)
		}
		if treated := got.Plan.Treated(2)[0].Treatment; c.bob != "" && treated != c.bob {
			t.Errorf("%s: %s, want %s", name, treated, c.bob)
		}
	}
}

// TestInboundReplay is the same for inbound rules.
func TestInboundReplay(t *testing.T) {
	bob, err := address.Parse("bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Direction: Inbound, From: []address.Address{bob}, Found: Found{Result: "fail", Signed: true}, Recipients: []RecipientFacts{{Address: bob}}}
	for name, c := range map[string]struct {
		rule  InboundRule
		lacks []string
		want  string
	}{
		"known":   {InboundRule{Name: "a", Result: []string{"fail"}, OnResult: "reject"}, nil, "refused"},
		"other":   {InboundRule{Name: "a", Result: []string{"pass"}, OnResult: "reject"}, nil, "delivered"},
		"subject": {InboundRule{Name: "a", Subject: []string{"x"}, OnResult: "quarantine"}, []string{"the header or the attachments"}, ""},
		"group":   {InboundRule{Name: "a", RecipientGroup: []string{"board@example.org"}, OnResult: "tag"}, []string{"group board@example.org"}, ""},
		"beside a group": {InboundRule{Name: "a", Result: []string{"pass"}, RecipientGroup: []string{"board@example.org"}, OnResult: "tag"},
			nil, "delivered"},
	} {
		p, err := CompileInbound([]InboundRule{c.rule})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := p.Replay(f)
		if !reflect.DeepEqual(got.Lacks[0], c.lacks) {
			t.Errorf("%s: lacks %q, want %q", name, got.Lacks[0], c.lacks)
		}
		if treated := got.Decisions[0].Treatment(); c.want != "" && treated != c.want {
			t.Errorf("%s: %s, want %s", name, treated, c.want)
		}
	}
}
