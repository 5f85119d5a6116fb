package enforce

import (
	"errors"
	"strings"
	"testing"
)

// last is a default rule that is in order.
var last = Rule{Name: "default", Line: 90, Sign: "never", Encrypt: "never"}

func TestBrokenRules(t *testing.T) {
	some := []string{"example.net"}
	tests := []struct {
		name  string
		rules []Rule
		want  string // the whole message of the one problem
	}{
		{"none", nil, `rules: there are none; write at least the last one, named "default"`},
		{"word", []Rule{{Name: "a", Line: 3, Recipient: some, Sign: "always"}, last},
			`line 3: rule "a": sign: "always" is not known; write one of never, prefer, require`},
		{"pattern", []Rule{{Name: "a", Line: 3, Recipient: []string{"@example.net"}, Sign: "require"}, last},
			`line 3: rule "a": recipient: "@example.net": begins with "@"; write the domain without it`},
		{"empty list", []Rule{{Name: "a", Line: 3, Sender: []string{}, Sign: "require"}, last},
			`line 3: rule "a": sender: is an empty list, which never matches; remove it or add a pattern`},
		{"no name", []Rule{{Line: 3, Recipient: some, Sign: "require"}, last},
			`line 3: rule: name: is missing; every rule needs a name for logs and replies`},
		{"same name", []Rule{{Name: "a", Line: 3, Recipient: some, Sign: "require"}, {Name: "a", Line: 9, Recipient: some, Sign: "require"}, last},
			`line 9: rule "a": name: is used by an earlier rule too (line 3); choose another`},
		{"no action", []Rule{{Name: "a", Line: 3, Recipient: some}, last},
			`line 3: rule "a": sets neither sign nor encrypt; write sign = "never" and encrypt = "never" if that is intended`},
		{"no_certificate", []Rule{{Name: "a", Line: 3, Recipient: some, Encrypt: "prefer", NoCertificate: "strip"}, last},
			`line 3: rule "a": no_certificate: has an effect only with encrypt = "require"; remove it`},
		{"unavailable", []Rule{{Name: "a", Line: 3, Recipient: some, Encrypt: "require", Unavailable: "plain"}, last},
			`line 3: rule "a": unavailable: has an effect only with encrypt = "prefer"; remove it`},
		{"mixed", []Rule{{Name: "a", Line: 3, Recipient: some, Sign: "require", Mixed: "allow"}, last},
			`line 3: rule "a": mixed: has an effect only in a rule that encrypts; remove it`},
		{"a domain's identity and no signature", []Rule{{Name: "a", Line: 3, Recipient: some, Encrypt: "require", DomainIdentity: "domain"}, last},
			`line 3: rule "a": domain_identity: has an effect only in a rule that signs; remove it`},
		{"two identities", []Rule{{Name: "a", Line: 3, Recipient: some, Sign: "require", Identity: "gw@own.example", DomainIdentity: "domain"}, last},
			`line 3: rule "a": domain_identity: replaces the identity of the sender; remove it, or write identity = "sender"`},
		{"issue without a signature", []Rule{{Name: "a", Line: 3, Recipient: some, Encrypt: "require", Issue: true}, last},
			`line 3: rule "a": issue: has an effect only in a rule that signs; remove it`},
		{"issue for a domain", []Rule{{Name: "a", Line: 3, Recipient: some, Sign: "require", Identity: "domain", Issue: true}, last},
			`line 3: rule "a": issue: issues identities to senders; remove it, or write identity = "sender"`},
		{"inbound", []Rule{{Name: "a", Line: 3, Direction: "inbound", Encrypt: "require"}, last},
			`line 3: rule "a": direction: inbound mail is not signed or encrypted; write "outbound"`},
		{"unreachable", []Rule{{Name: "a", Line: 3, Encrypt: "require"}, last},
			`line 3: rule "a": matches every recipient, so the rules below it are never used; add a condition or move it to the end`},
		{"no default", []Rule{{Name: "a", Line: 3, Encrypt: "require", Sign: "never"}},
			`line 3: rule "a": name: is the last rule and must be named "default": it applies to all recipients that no rule above matches; add a rule "default" at the end`},
		{"default with condition", []Rule{{Name: "default", Line: 3, Recipient: some, Encrypt: "require", Sign: "never"}},
			`line 3: rule "default": is the last rule and must have no conditions: it applies to all recipients that no rule above matches; remove them, or add a rule above it that has them`},
		{"default says half", []Rule{{Name: "default", Line: 3, Encrypt: "require"}},
			`line 3: rule "default": is the last rule and must set both sign and encrypt; write "require", "prefer" or "never" for each`},
	}
	for _, tt := range tests {
		p, err := Compile(tt.rules)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %q, want %q", tt.name, err, tt.want)
		}
		if p != nil {
			t.Errorf("%s: a policy beside an error", tt.name)
		}
	}
}

func TestCompileReportsAllProblems(t *testing.T) {
	_, err := Compile([]Rule{
		{Name: "a", Line: 3, Sign: "always", Recipient: []string{"@x", "a b"}},
		{Name: "default", Line: 8, Encrypt: "sometimes", Sign: "never", Profile: "x"},
	})
	if n := strings.Count(err.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d problems, want 4:\n%v", n, err)
	}
	if p, ok := errors.AsType[*Problem](err); !ok || p.Line != 3 {
		t.Errorf("the first problem is %+v", p)
	}
}

func TestProfiles(t *testing.T) {
	p, err := Compile([]Rule{{Name: "a", Sender: []string{"*"}, Sign: "require", Profile: "strong"}, last})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Profiles(), " "); got != "default strong" {
		t.Errorf("profiles %q", got)
	}
}
