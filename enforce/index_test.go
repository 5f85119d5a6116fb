package enforce

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// genIndexed draws rules with the conditions that are indexed, and a message that some
// of them may match.
func genIndexed(t *rapid.T) ([]Rule, Facts) {
	rules, f := genRules(t), genFacts(t)
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
	h := f.Content.Header
	h["subject"] = rapid.SliceOfN(rapid.SampledFrom([]string{"a word", "another", "\u00dcN Word", "U\u0308n", ""}), 0, 2).Draw(t, "subjects")
	h["x-class"] = rapid.SliceOfN(rapid.SampledFrom([]string{"secret", "top \u017fecret", "SECRETRET", "b", ""}), 0, 2).Draw(t, "classes")
	h["x-kelvin"] = rapid.SliceOfN(rapid.SampledFrom([]string{"k", "K", "\u212a"}), 0, 1).Draw(t, "kelvins")
	h["x-bad"] = rapid.SliceOfN(rapid.SampledFrom([]string{"\xff", "\ufffd"}), 0, 1).Draw(t, "bad")
	for _, name := range []string{"subject", "x-class", "x-nothing"} {
		f.Content.Unread[name] = rapid.IntRange(0, 3).Draw(t, "unread "+name) == 0
	}
	return rules, f
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
		rules, f := genIndexed(t)
		p, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		all := unindexed(p)
		for i := range f.Recipients {
			to := &f.Recipients[i]
			if got, want := p.decided(&f, to), all.decided(&f, to); got != want {
				t.Fatalf("%s: the index finds %+v, and a look at every rule %+v", to.Address, got, want)
			}
			one := f
			one.Recipients = f.Recipients[i : i+1]
			if got, want := p.Early(one), all.Early(one); got != want {
				t.Fatalf("%s: the index finds early %+v, and a look at every rule %+v", to.Address, got, want)
			}
		}
	})
}

// Texts share a key exactly if they are equal whatever their case.
func TestFoldKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("kK\u212asS\u017f\u00df\u1e9eiI\u0130\u0131\u03c3\u03c2\u03a3x\ufffd")), 0, 3, -1)
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		if strings.EqualFold(a, b) != (foldKey(a) == foldKey(b)) {
			t.Fatalf("%q and %q: keys %q and %q", a, b, foldKey(a), foldKey(b))
		}
	})
	if foldKey("\xff") != foldKey("\ufffd") {
		t.Error("what is no character has another key than its replacement")
	}
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
		Decide(p, f)
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
