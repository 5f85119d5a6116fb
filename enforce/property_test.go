package enforce

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/smime/address"
)

// compareAddresses lets cmp look at addresses, which have hidden fields.
var compareAddresses = cmp.Comparer(func(a, b address.Address) bool { return a == b })

func oneOf(t *rapid.T, label string, words ...string) string {
	return rapid.SampledFrom(words).Draw(t, label)
}

func genPatterns(t *rapid.T, label string) []string {
	if rapid.Bool().Draw(t, label+" absent") {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom([]string{
		"a@p.example", "b@p.example", "p.example", ".example", "q.example", "*", "a@*", "*.sub.p.example", "<>", "a@own.example",
	}), 1, 3).Draw(t, label)
}

func genActions(t *rapid.T, r *Rule) {
	r.Sign = oneOf(t, "sign", "require", "prefer", "never")
	r.Encrypt = oneOf(t, "encrypt", "require", "prefer", "never")
	switch r.Encrypt {
	case "require":
		r.NoCertificate = oneOf(t, "no_certificate", "", "reject", "reject-message", "strip", "hold", "ask")
	case "prefer":
		r.Unavailable = oneOf(t, "unavailable", "", "defer", "plain")
	}
	if r.Encrypt != "never" {
		r.Mixed = oneOf(t, "mixed", "", "forbid", "internal", "allow")
		r.DomainCertificate = oneOf(t, "domain_certificate", "", "", "domain")
		r.SenderCopy = rapid.IntRange(0, 4).Draw(t, "sender_copy") == 0
		if rapid.IntRange(0, 4).Draw(t, "also") == 0 {
			r.AlsoEncryptTo = []string{"archive@own.example"}
		}
	}
	r.Profile = oneOf(t, "profile", "", "strong")
	r.Issue = r.Sign != "never" && rapid.IntRange(0, 2).Draw(t, "issue") == 0
	genRarer(t, r)
}

// genRarer draws what most rules do not have.
func genRarer(t *rapid.T, r *Rule) {
	if rapid.IntRange(0, 2).Draw(t, "control") == 0 {
		r.UserControl = rapid.SliceOfN(rapid.SampledFrom([]string{"sign", "encrypt", "plain"}), 1, 3).Draw(t, "user_control")
	}
	if rapid.IntRange(0, 2).Draw(t, "rare") != 0 {
		return
	}
	r.Automatic = oneOf(t, "automatic", "", "pass", "protect")
	r.AlreadyEncrypted = oneOf(t, "already_encrypted", "", "accept", "check")
	r.AlreadySigned = oneOf(t, "already_signed", "", "keep", "sign")
	r.Calendar = oneOf(t, "calendar", "", "sign", "encrypt", "leave")
	r.Identity = oneOf(t, "identity", "", "sender", "domain", "gw@own.example")
	if r.Sign != "never" && (r.Identity == "" || r.Identity == "sender") {
		r.DomainIdentity = oneOf(t, "domain_identity", "", "domain", "gw@own.example")
	}
	r.Issue = r.Issue && (r.Identity == "" || r.Identity == "sender")
	r.FromAlignment = oneOf(t, "agree", "", "any", "domain", "address")
	r.SubjectTag = oneOf(t, "tag", "", "[x]")
	r.Footer = oneOf(t, "footer", "", "x", "y")
	r.Mode = oneOf(t, "mode", "", "enforce", "report")
}

// genRules draws rules that Compile accepts.
func genRules(t *rapid.T) []Rule {
	var rules []Rule
	for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
		r := Rule{Name: fmt.Sprintf("r%d", i), Line: i + 1, Direction: "outbound"}
		r.Sender = genPatterns(t, "sender")
		r.ExceptSender = genPatterns(t, "except_sender")
		r.Recipient = genPatterns(t, "recipient")
		r.ExceptRecipient = genPatterns(t, "except_recipient")
		if rapid.IntRange(0, 3).Draw(t, "larger") == 0 {
			r.LargerThan = 100
		}
		switch rapid.IntRange(0, 7).Draw(t, "subject") {
		case 0:
			r.Subject = []string{"word"}
		case 1:
			r.ExceptSubject = []string{"word"}
		}
		genGroupConditions(t, &r)
		genActions(t, &r)
		rules = append(rules, r)
	}
	last := Rule{Name: DefaultRule, Line: 99}
	genActions(t, &last)
	return append(rules, last)
}

func genPolicy(t *rapid.T) *Policy {
	p, err := Compile(genRules(t))
	if err != nil {
		t.Fatalf("generated rules do not compile: %v", err)
	}
	return p
}

func genAddress(t *rapid.T, label string) address.Address {
	a, err := address.Parse(oneOf(t, label, "a@p.example", "b@p.example", "A@p.example", "c@q.example", "d@x.sub.p.example", "e@other.test", `"x@p.example"@other.test`))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func genAvailability(t *rapid.T, label string) Availability {
	return rapid.SampledFrom([]Availability{Unknown, None, Available}).Draw(t, label)
}

func genCertificate(t *rapid.T, label string, first byte) CertificateFacts {
	c := CertificateFacts{State: genAvailability(t, label)}
	if c.State == Available {
		for j := range rapid.IntRange(0, 2).Draw(t, label+" usable") {
			c.Usable = append(c.Usable, Fingerprint{first, byte(j)})
		}
	}
	return c
}

func genIdentity(t *rapid.T, label string) IdentityFacts {
	return IdentityFacts{State: genAvailability(t, label)}
}

func genFacts(t *rapid.T) Facts {
	f := Facts{
		Triggers: Triggers{
			Sign:    rapid.IntRange(0, 4).Draw(t, "trigger sign") == 0,
			Encrypt: rapid.IntRange(0, 4).Draw(t, "trigger encrypt") == 0,
			Plain:   rapid.IntRange(0, 4).Draw(t, "trigger plain") == 0,
		},
		Identities: map[string]IdentityFacts{"domain": genIdentity(t, "domain identity"), "gw@own.example": genIdentity(t, "named identity")},
		Further:    map[string]CertificateFacts{SenderCopy: genCertificate(t, "sender copy", 101), "archive@own.example": genCertificate(t, "archive", 102)},
		Direction:  Outbound,
		Identity:   genAvailability(t, "identity"),
		Issuable:   rapid.IntRange(0, 4).Draw(t, "issuable") == 0,
		// Mostly the common case, or the interesting ones are drowned.
		Content: Content{
			Signed:    rapid.IntRange(0, 9).Draw(t, "signed") == 0,
			Encrypted: rapid.IntRange(0, 19).Draw(t, "encrypted") == 0,
			Exempt:    rapid.IntRange(0, 19).Draw(t, "exempt") == 0,
			Report:    rapid.IntRange(0, 19).Draw(t, "report") == 0,
			Header:    map[string][]string{"subject": {oneOf(t, "subject", "a word", "another")}},
			Unread:    map[string]bool{"subject": rapid.IntRange(0, 3).Draw(t, "unread") == 0},
			Calendar:  rapid.IntRange(0, 9).Draw(t, "calendar") == 0,
			Size:      rapid.IntRange(0, 200).Draw(t, "size"),
		},
	}
	if rapid.IntRange(0, 4).Draw(t, "too weak") == 0 {
		f.Content.TooWeak = map[string]bool{"strong": true}
	}
	if rapid.IntRange(0, 9).Draw(t, "forbidden") == 0 {
		f.SignForbidden = "not entitled"
	}
	if rapid.Bool().Draw(t, "sender") {
		f.Sender, _ = address.Parse("a@own.example")
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "recipients") {
		r := RecipientFacts{
			Address:     genAddress(t, "recipient"),
			Hidden:      rapid.Bool().Draw(t, "hidden"),
			Internal:    rapid.IntRange(0, 3).Draw(t, "internal") == 0,
			Reads:       genAvailability(t, "reads"),
			Certificate: genCertificate(t, "certificate", byte(i+1)),
			Domain:      genCertificate(t, "domain", 100),
		}
		genRecipientGroups(t, &r)
		f.Recipients = append(f.Recipients, r)
	}
	f.SenderGroups = genMemberships(t, "sender")
	return f
}

// whereabouts counts the places of each recipient in a plan.
func whereabouts(plan Plan, n int) []int {
	seen := make([]int, n)
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			seen[a.Index]++
		}
	}
	for _, r := range slices.Concat(plan.Refused, plan.Stripped, plan.Held) {
		seen[r.Index]++
	}
	return seen
}

func TestEveryRecipientIsInExactlyOnePlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		plan := Decide(p, &f)
		for i, n := range whereabouts(plan, len(f.Recipients)) {
			if n != 1 {
				t.Fatalf("recipient %d is in %d places of %+v", i, n, plan)
			}
		}
		if err := p.Check(&f, plan); err != nil {
			t.Fatalf("Check refuses what Decide decided: %v", err)
		}
	})
}

func TestRequireIsNeverWithoutItsStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		for _, c := range Decide(p, &f).Copies {
			for _, a := range c.Recipients {
				r := p.match(&f, &f.Recipients[a.Index])
				if r.report || r.untouched(&f, &f.Recipients[a.Index]) {
					if c.Encrypt != nil || c.Sign != nil || c.SubjectTag != "" || c.Footer.Text != "" {
						t.Fatalf("the copy for %s is touched: %+v", a.Address, c)
					}
					continue
				}
				if want := r.steps.footer; c.Footer != want && !f.Content.Calendar || f.Content.Calendar && c.Footer.Text != "" {
					t.Fatalf("the copy for %s has the footer %q, not %q", a.Address, c.Footer, want)
				}
				sign, encrypt := r.wants(&f)
				if encrypt == require && c.Encrypt == nil {
					t.Fatalf("%s must be encrypted to and is not", a.Address)
				}
				if encrypt == never && c.Encrypt != nil {
					t.Fatalf("%s must not be encrypted to and is", a.Address)
				}
				if sign == require && c.Sign == nil && !f.Content.Signed && !f.Content.Report {
					t.Fatalf("the copy for %s must be signed and is not", a.Address)
				}
				if c.Sign != nil && (f.SignForbidden != "" || sign == never) {
					t.Fatalf("the copy for %s is signed and may not be", a.Address)
				}
			}
		}
	})
}

func TestUnknownNeverBecomesPlaintext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		for _, c := range Decide(p, &f).Copies {
			for _, a := range c.Recipients {
				to := &f.Recipients[a.Index]
				r := p.match(&f, to)
				_, encrypt := r.wants(&f)
				asked := encrypt != never && !(encrypt == prefer && r.plain) && !r.report && !r.untouched(&f, to)
				if asked && to.Certificate.State == Unknown && c.Encrypt == nil {
					t.Fatalf("%s is unknown, and gets the message in the clear", a.Address)
				}
			}
		}
	})
}

// Who is held lacks a certificate for certain, has a rule that says so, and gets
// the message encrypted as soon as there is one: never in the clear.
func TestHeldWaitsForACertificate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		for _, h := range Decide(p, &f).Held {
			to := f.Recipients[h.Index]
			if r := p.match(&f, &to); r.missing != hold && r.missing != ask || to.Certificate.State != None {
				t.Fatalf("%+v is held", h)
			}
			again := f
			to.Certificate = CertificateFacts{State: Available, Usable: []Fingerprint{{9}}}
			again.Recipients = []RecipientFacts{to}
			plan := Decide(p, &again)
			if len(plan.Held) > 0 || len(plan.Copies) > 0 && plan.Copies[0].Encrypt == nil {
				t.Fatalf("with a certificate the plan is %+v", plan)
			}
		}
	})
}

// What an administrator releases is never encrypted, and signed as before.
func TestReleasedGoesInTheClear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		f.Released, f.Content.Encrypted = true, false
		plan := Decide(p, &f)
		if len(plan.Held)+len(plan.Stripped) > 0 {
			t.Fatalf("plan is %+v", plan)
		}
		for _, c := range plan.Copies {
			if c.Encrypt != nil {
				t.Fatalf("encrypted all the same: %+v", c)
			}
		}
		if err := p.Check(&f, plan); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnknownIsRefusedForNowOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		if len(f.Recipients) != 1 {
			return
		}
		plan := Decide(p, &f)
		r := p.match(&f, &f.Recipients[0])
		if r.expand && f.Recipients[0].Group.State == EmptyGroup {
			return // no recipient to try again for
		}
		if _, encrypt := r.wants(&f); f.Recipients[0].Certificate.State == Unknown && encrypt == require && !r.report && !r.untouched(&f, &f.Recipients[0]) {
			if len(plan.Refused) != 1 || !plan.Refused[0].Temporary {
				t.Fatalf("plan is %+v, want one temporary refusal", plan)
			}
		}
	})
}

// outcomes maps each recipient, by its place in the facts, to everything that
// the plan says of it, with the others who share its copy by address.
func outcomes(plan Plan, original []int) map[int]string {
	out := make(map[int]string)
	for _, c := range plan.Copies {
		var with []string
		for _, a := range c.Recipients {
			with = append(with, a.Address.String())
		}
		slices.Sort(with)
		for _, a := range c.Recipients {
			out[original[a.Index]] = fmt.Sprint("copy ", with, a.Rule, a.Note, a.Report, c.Sign, c.Encrypt, c.SubjectTag)
		}
	}
	for _, r := range plan.Refused {
		out[original[r.Index]] = fmt.Sprint("refused ", r.Rule, r.Temporary, r.Missing, r.Reason)
	}
	for _, r := range plan.Stripped {
		out[original[r.Index]] = fmt.Sprint("stripped ", r.Rule, r.Reason)
	}
	for _, r := range plan.Held {
		out[original[r.Index]] = fmt.Sprint("held ", r.Rule, r.Reason)
	}
	return out
}

func TestOrderOfRecipientsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		order := make([]int, len(f.Recipients))
		for i := range order {
			order[i] = i
		}
		want := outcomes(Decide(p, &f), order)
		order = rapid.Permutation(order).Draw(t, "order")
		g := f
		g.Recipients = nil
		for _, i := range order {
			g.Recipients = append(g.Recipients, f.Recipients[i])
		}
		if diff := cmp.Diff(want, outcomes(Decide(p, &g), order)); diff != "" {
			t.Fatalf("order matters (-first +permuted):\n%s", diff)
		}
	})
}

func TestRuleBelowAMatchingOneChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A rule that may match, for a group or a text that is unknown, lets the
		// rules below it decide as well.
		rules, f := genRules(t), allKnown(t, genFacts(t))
		f.Content.Unread = nil
		p, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		lowest := 0
		for i := range f.Recipients {
			lowest = max(lowest, slices.Index(p.rules, p.match(&f, &f.Recipients[i])))
		}
		if lowest == len(rules)-1 {
			return // nothing can stand below the default
		}
		extra := Rule{Name: "extra", Recipient: []string{"*"}}
		genActions(t, &extra)
		q, err := Compile(slices.Insert(slices.Clone(rules), lowest+1, extra))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Decide(p, &f), Decide(q, &f), compareAddresses, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("a rule below changes the plan (-without +with):\n%s", diff)
		}
	})
}

func TestNoTextIsBothClearAndEncrypted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		plan := Decide(p, &f)
		var m mixing
		m.add(p, &f, plan)
		if m.wrong(require) || m.wrong(prefer) && !m.secret {
			t.Fatalf("encrypted to some and in the clear to others: %+v", plan)
		}
	})
}

// mixing gathers who gets a text in the clear, and by which rules it is encrypted
// for others.
type mixing struct {
	open   []*RecipientFacts
	rules  map[want][]*rule
	secret bool // a rule demands that it be encrypted, and has not "allow"
}

func (m *mixing) add(p *Policy, f *Facts, plan Plan) {
	if m.rules == nil {
		m.rules = make(map[want][]*rule)
	}
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			to := &f.Recipients[a.Index]
			r := p.match(f, to)
			switch _, encrypt := r.wants(f); {
			case r.report || r.untouched(f, to):
			case c.Encrypt == nil:
				m.open = append(m.open, to)
			default:
				m.rules[encrypt] = append(m.rules[encrypt], r)
				m.secret = m.secret || encrypt == require && r.mixed != mixedAllow
			}
		}
	}
	m.secret = m.secret || len(plan.Held) > 0 || slices.ContainsFunc(plan.Refused, func(r Refusal) bool { return r.Temporary })
}

func (m *mixing) wrong(by want) bool {
	return slices.ContainsFunc(m.rules[by], func(r *rule) bool { return !r.toleratesAll(m.open) })
}

// What cannot be read of a subject may say anything: nothing goes in the clear that
// a rule would have encrypted if it said so, and nothing if it said otherwise.
func TestUnreadSubjectIsWhateverProtects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		f.Content.Header, f.Content.Unread = nil, map[string]bool{"subject": true}
		plan := Decide(p, &f)
		for _, subject := range []string{"a word", "another"} {
			read := f
			read.Content.Header, read.Content.Unread = map[string][]string{"subject": {subject}}, nil
			for _, c := range plan.Copies {
				for _, a := range c.Recipients {
					r := p.match(&read, &f.Recipients[a.Index])
					_, encrypt := r.wants(&read)
					if c.Encrypt == nil && encrypt == require && !r.report && !r.untouched(&read, &read.Recipients[a.Index]) {
						t.Fatalf("with the subject %q it would be encrypted for %s by %q: %+v", subject, a.Address, r.name, plan)
					}
				}
			}
		}
	})
}

// A listener that answers each recipient hands some on now and has the others tried
// again, with better knowledge, and those who are held are decided on by
// themselves when there is a certificate: all of it together must not make a
// mixture of what a rule requires to be encrypted. (What is only preferred may
// come out differently the second time.)
func TestNoTextIsBothClearAndEncryptedAfterARetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		for _, r := range p.rules {
			r.unsure = MemberUnknown // what was taken for granted may prove wrong
		}
		first := Decide(p, &f)
		again := f
		again.Identity, again.Recipients = Available, nil
		for _, r := range first.Refused {
			if r.Temporary {
				to := f.Recipients[r.Index]
				to.Groups = maps.Clone(to.Groups)
				if c := &to.Certificate; c.sound().State == Unknown {
					*c = CertificateFacts{State: rapid.SampledFrom([]Availability{None, Available}).Draw(t, "later")}
					if c.State == Available {
						c.Usable = []Fingerprint{{byte(r.Index + 1)}}
					}
				}
				tell(t, to.Groups)
				again.Recipients = append(again.Recipients, to)
			}
		}
		again.SenderGroups = maps.Clone(f.SenderGroups)
		tell(t, again.SenderGroups)
		second := Decide(p, &again)
		released := f
		released.Identity, released.Recipients = Available, nil
		waiting := make([]RecipientFacts, 0, len(first.Held)+len(second.Held))
		for _, r := range first.Held {
			waiting = append(waiting, f.Recipients[r.Index])
		}
		for _, r := range second.Held {
			waiting = append(waiting, again.Recipients[r.Index])
		}
		for i, to := range waiting {
			to.Certificate = CertificateFacts{State: Available, Usable: []Fingerprint{{byte(i + 1)}}}
			released.Recipients = append(released.Recipients, to)
		}
		third := Decide(p, &released)
		var m mixing
		m.add(p, &f, first)
		m.add(p, &again, second)
		m.add(p, &released, third)
		if m.wrong(require) {
			t.Fatalf("first %+v\nthen %+v\nthen %+v", first, second, third)
		}
	})
}

func TestHiddenRecipientsOfEncryptedCopiesAreAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		for _, c := range Decide(p, &f).Copies {
			for _, a := range c.Recipients {
				if c.Encrypt != nil && f.Recipients[a.Index].Hidden && len(c.Recipients) > 1 {
					t.Fatalf("%s is hidden and shares an encrypted copy", a.Address)
				}
			}
			if c.Encrypt == nil {
				continue
			}
			for _, fp := range c.Encrypt.Certificates {
				if fp[0] < 100 && !slices.ContainsFunc(c.Recipients, func(a Assigned) bool { return slices.Contains(f.Recipients[a.Index].Certificate.Usable, fp) }) {
					t.Fatalf("copy %+v is encrypted to a recipient who does not get it", c)
				}
			}
		}
	})
}

func TestEarlyRefusalIsTheLaterOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		if f.Content.Encrypted || f.Content.Exempt || len(f.Recipients) != 1 {
			return
		}
		f.Triggers.Plain = f.Triggers.Plain && !f.Triggers.Encrypt
		early := Facts{Direction: f.Direction, Sender: f.Sender, Recipients: f.Recipients}
		r, ok := p.AtRCPT(&early)
		if !ok {
			return
		}
		plan := Decide(p, &f)
		if len(plan.Refused) != 1 || plan.Refused[0].Reason != r.Reason || r.Temporary {
			t.Fatalf("refused early with %+v, and later the plan is %+v", r, plan)
		}
	})
}

// Where the needs do not name the sender's identity, whether there is one changes
// nothing: it is not looked for.
func TestIdentityOfTheSenderCountsWhereItIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := genPolicy(t), genFacts(t)
		if p.Needs(&f).Sender {
			return
		}
		f.Identity, f.Issuable = Available, false
		with := Decide(p, &f)
		f.Identity = None
		if diff := cmp.Diff(with, Decide(p, &f), compareAddresses); diff != "" {
			t.Fatalf("the plan depends on the identity all the same:\n%s", diff)
		}
	})
}
