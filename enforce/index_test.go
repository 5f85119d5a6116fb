package enforce

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The index must find what a look at every rule finds.
func TestIndexFindsTheFirstRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		f.Content.Unread = nil
		for i := range f.Recipients {
			v := newView(&f, &f.Recipients[i])
			var want *rule
			for _, r := range p.rules {
				if r.matches(&v, true) == yes && r.belongs(&v) != NotMember {
					want = r
					break
				}
			}
			if got := p.match(&f, &f.Recipients[i]); got != want {
				t.Fatalf("%s: the index finds %q, and the first is %q", f.Recipients[i].Address, got.name, want.name)
			}
		}
	})
}

// manyRules has n rules with addresses addresses in all, of which the last
// matches a sender nobody has.
func manyRules(n, addresses int, glob bool) []Rule {
	var rules []Rule
	for i := range n {
		r := Rule{Name: fmt.Sprint("r", i), Sign: "never", Encrypt: "require"}
		switch {
		case glob:
			r.Recipient = []string{fmt.Sprintf("user%d-*@partner*.example", i)}
		case i%3 == 0:
			r.Recipient = []string{fmt.Sprintf("partner%d.example", i), fmt.Sprintf(".partner%d.example", i)}
		case i%3 == 1:
			r.Sender = []string{fmt.Sprintf("dept%d.own.example", i)}
		default:
			for j := range addresses / (n / 3) {
				r.Recipient = append(r.Recipient, fmt.Sprintf("user%d-%d@list.example", i, j))
			}
		}
		rules = append(rules, r)
	}
	rules[n/2].Recipient = nil
	for j := range addresses {
		rules[n/2].Recipient = append(rules[n/2].Recipient, fmt.Sprintf("member%d@big.example", j))
	}
	return append(rules, Rule{Name: DefaultRule, Sign: "never", Encrypt: "never"})
}

func benchmarkDecide(b *testing.B, glob bool, to string) {
	p, err := Compile(manyRules(10_000, 100_000, glob))
	if err != nil {
		b.Fatal(err)
	}
	f := Facts{
		Direction: Outbound, Sender: mustParse(b, "alice@own.example"),
		Recipients: []RecipientFacts{{Address: mustParse(b, to), Certificate: CertificateFacts{State: Available, Usable: []Fingerprint{{1}}}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, f)
	}
}

// 10,000 rules with lists of 100,000 addresses: a recipient in a list, one of a
// domain, and one whom only the default matches.
func BenchmarkDecideList(b *testing.B)    { benchmarkDecide(b, false, "member99999@big.example") }
func BenchmarkDecideDomain(b *testing.B)  { benchmarkDecide(b, false, "x@a.b.partner9999.example") }
func BenchmarkDecideDefault(b *testing.B) { benchmarkDecide(b, false, "x@elsewhere.example") }

// The worst case is linear: every rule is a glob, and none matches.
func BenchmarkDecideGlobs(b *testing.B) { benchmarkDecide(b, true, "user9999x@partner.example") }
