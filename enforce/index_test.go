package enforce

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// genIndexed draws rules with the conditions that are indexed.
func genIndexed(t *rapid.T) *Policy {
	rules := genRules(t)
	some := func(label string, words ...string) []string {
		if rapid.Bool().Draw(t, label+" absent") {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(t, label)
	}
	for i := range rules[:len(rules)-1] {
		r := &rules[i]
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			r.Recipient = some("globs", "a*@*", "*@*.p.example", "?@p.*", "*p*@*.test", "a@p.e*", "x@q.example", "<>")
			r.Sender = some("sender globs", "a*@own.*", "*@own.exam*", "*")
		case 1:
			r.Recipient, r.Sender = nil, nil
			r.Subject = some("subject", "word", "a", "WORD", "\u00fc", "u\u0308n", "another", "none")
		case 2:
			r.Recipient, r.Sender = nil, nil
			r.Header = some("header", "X-Class", "x-class: Secret", "X-Class ~ ^top", "X-Class ~ (?i)sec(ret)+", "X-Class ~ a|b",
				"X-Class ~ (top )?s", "X-Class ~ (?:cr){0,1}x", "X-Kelvin: \u212a", "X-Kelvin ~ (?i)k", "Subject: a word", "X-Bad: \ufffd")
		}
	}
	p, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// contentsToMatch calls f for messages that some of the conditions match.
func contentsToMatch(f func(header map[string][]string, unread map[string]bool)) {
	n := 0
	for _, subject := range [][]string{nil, {"a word"}, {"another"}, {"\u00dcN Word"}, {"U\u0308n", ""}} {
		for _, class := range [][]string{nil, {"secret", "b"}, {"top \u017fecret"}, {"SECRETRET"}, {"x"}} {
			for _, unread := range []map[string]bool{nil, {"subject": true}, {"x-class": true}, {"x-nothing": true, "subject": true}} {
				n++
				f(map[string][]string{
					"subject": subject, "x-class": class,
					"x-kelvin": {[]string{"k", "K", "\u212a"}[n%3]}, "x-bad": {[]string{"\xff", "\ufffd"}[n%2]},
				}, unread)
			}
		}
	}
}

// unindexed is p with every rule a candidate for everybody.
func unindexed(p *Policy) *Policy {
	q := *p
	q.index = index{recipients: newPlaces(), senders: newPlaces(), contents: newContents()}
	for i := range p.rules {
		q.index.everybody = append(q.index.everybody, i)
	}
	return &q
}

// The index must find what a look at every rule finds.
func TestIndexFindsTheFirstRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genIndexed(t), genFacts(t)
		all := unindexed(p)
		contentsToMatch(func(header map[string][]string, unread map[string]bool) {
			f.Content.Header, f.Content.Unread = header, unread
			for i := range f.Recipients {
				to := &f.Recipients[i]
				if got, want := p.decided(&f, to), all.decided(&f, to); got != want {
					t.Fatalf("%s, %q, unread %v: the index finds %+v, and a look at every rule %+v", to.Address, header, unread, got, want)
				}
			}
		})
		for i := range f.Recipients {
			one := f
			one.Content, one.Recipients = Content{}, f.Recipients[i:i+1]
			if got, want := p.Early(&one), all.Early(&one); got != want {
				t.Fatalf("%s: the index finds early %+v, and a look at every rule %+v", f.Recipients[i].Address, got, want)
			}
		}
	})
}

// Texts share a key exactly if they are equal whatever their case.
func TestFoldKey(t *testing.T) {
	letters := []string{"", "k", "K", "\u212a", "s", "S", "\u017f", "\u00df", "\u1e9e", "i", "I", "\u0130", "\u0131", "\u03c3", "\u03c2", "\u03a3", "\xff", "\ufffd", "sk", "S\u212a"}
	for _, a := range letters {
		for _, b := range letters {
			if strings.EqualFold(a, b) != (foldKey(a) == foldKey(b)) {
				t.Errorf("%q and %q: keys %q and %q", a, b, foldKey(a), foldKey(b))
			}
		}
	}
}

func TestRequired(t *testing.T) {
	for expression, want := range map[string]string{
		"abc": "ABC", "^abc$": "ABC", "ab|cd": "", "a|abc": "A", "(?i)Secret": "SECRET", "(?:cr){0,1}x": "X", "(?:cr){1,3}x": "CR",
		"(abc)+d": "ABC", "(abc)*d": "D", "abc?": "AB", "[ab]cd.*efg": "EFG", ".": "", "(": "", "k\u017f": "KS",
	} {
		if got := required(expression); got != want {
			t.Errorf("%s requires %q, want %q", expression, got, want)
		}
	}
}

// A rule with a glob is found whatever the case of the address.
func TestGlobsAreFound(t *testing.T) {
	for glob, address := range map[string]string{
		"boss*@*": "BossBaby@p.example", "*@*.Partner.example": "x@a.PARTNER.example", "b?ss@p*": "BOSS@p.example", "*x@p.example": "aX@P.example",
	} {
		p, err := Compile([]Rule{
			{Name: "glob", Recipient: []string{glob}, Sign: "never", Encrypt: "require"},
			{Name: DefaultRule, Sign: "never", Encrypt: "never"},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := Facts{Direction: Outbound, Sender: mustParse(t, "a@own.example"), Recipients: []RecipientFacts{{Address: mustParse(t, address)}}}
		if r := p.match(&f, &f.Recipients[0]); r.name != "glob" || len(p.index.everybody) != 1 {
			t.Errorf("%s: the rule for %s is %q, and %d rules are looked at for everybody", address, glob, r.name, len(p.index.everybody))
		}
	}
}

// manyRules has n rules with addresses addresses in all, of which the last
// matches no sender that occurs.
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
	benchmarkRules(b, manyRules(10_000, 100_000, glob), to)
}

func benchmarkRules(b *testing.B, rules []Rule, to string) {
	p, err := Compile(rules)
	if err != nil {
		b.Fatal(err)
	}
	f := Facts{
		Direction: Outbound, Sender: mustParse(b, "alice@own.example"),
		Recipients: []RecipientFacts{{Address: mustParse(b, to), Certificate: CertificateFacts{State: Available, Usable: []Fingerprint{{1}}}}},
		Content: Content{Header: map[string][]string{
			"subject": {"the report on project 9876 of the third quarter"}, "x-class": {"class 9877 and more"},
		}},
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, &f)
	}
}

// 10,000 rules with lists of 100,000 addresses: a recipient in a list, one of a
// domain, and one whom only the default matches.
func BenchmarkDecideList(b *testing.B)    { benchmarkDecide(b, false, "member99999@big.example") }
func BenchmarkDecideDomain(b *testing.B)  { benchmarkDecide(b, false, "x@a.b.partner9999.example") }
func BenchmarkDecideDefault(b *testing.B) { benchmarkDecide(b, false, "x@elsewhere.example") }

// Every rule is a glob, and none matches.
func BenchmarkDecideGlobs(b *testing.B) { benchmarkDecide(b, true, "user9999x@partner.example") }

// 10,000 rules, each with a condition on the content.
func BenchmarkDecideSubjects(b *testing.B) {
	benchmarkContents(b, func(r *Rule, i int) { r.Subject = []string{fmt.Sprintf("Project %d", i)} })
}

func BenchmarkDecideFields(b *testing.B) {
	benchmarkContents(b, func(r *Rule, i int) { r.Header = []string{fmt.Sprintf("X-Class: class %d", i)} })
}

func BenchmarkDecideExpressions(b *testing.B) {
	benchmarkContents(b, func(r *Rule, i int) { r.Header = []string{fmt.Sprintf("X-Class ~ (?i)^CLASS %d( |$)", i)} })
}

func benchmarkContents(b *testing.B, condition func(*Rule, int)) {
	rules := make([]Rule, 10_000)
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint("r", i), Sign: "never", Encrypt: "require"}
		condition(&rules[i], i)
	}
	benchmarkRules(b, append(rules, Rule{Name: DefaultRule, Sign: "never", Encrypt: "never"}), "x@elsewhere.example")
}
