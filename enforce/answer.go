package enforce

import "cmp"

// answer is what the facts say of a condition. What they leave open, such as a
// subject in an unknown charset, is neither no nor yes.
type answer int

// The answers, in the order in which the one that holds of several is the largest
// and the one that holds of all the smallest.
const (
	no answer = iota
	maybe
	yes
)

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

func (a answer) not() answer { return yes - a }

// orMaybe is a, or maybe where no is not certain.
func (a answer) orMaybe(uncertain bool) answer {
	if a == no && uncertain {
		return maybe
	}
	return a
}

// choice is the rule that decides on a recipient.
type choice struct {
	rule *rule // nil if there is none
	// open says why it is unknown now whether it is this rule; "" if it is.
	open string
	// unsure says that an earlier rule, or this one, may match or not, and that
	// this is the strictest of them.
	unsure bool
}

// decided returns the first rule that matches a recipient. Where that depends on
// a group with unknown members, it returns the first rule that may match, and
// why it may not: trying again later may help. Where it depends on what cannot be
// read of the message, which no time changes, the strictest rule decides of those
// that may be the first.
func (p *Policy) decided(f *Facts, to *RecipientFacts) choice {
	if p == nil {
		return choice{}
	}
	var c choice
	v := newView(f, to)
	p.index.first(p.rules, &v, true, func(r *rule) bool {
		matches, belongs := r.matches(&v, true), r.belongs(&v)
		switch {
		case matches == no || belongs == NotMember:
			return false
		case belongs == MemberUnknown:
			c = choice{rule: r, open: r.unknownGroups(&v)}
			return true
		}
		if c.rule == nil || r.stricter(c.rule, f, to) {
			c.rule = r
		}
		c.unsure = c.unsure || matches == maybe
		return matches == yes
	})
	return c
}

// stricter reports whether r protects a message more than o does.
func (r *rule) stricter(o *rule, f *Facts, to *RecipientFacts) bool {
	return cmp.Compare(r.strictness(f, to), o.strictness(f, to)) > 0
}

// strictness is a measure of what a rule does to protect a message: whether it
// changes anything at all, encrypts, whatever else, and signs.
func (r *rule) strictness(f *Facts, to *RecipientFacts) int {
	if r.report || r.untouched(f, to) {
		return -1
	}
	sign, encrypt := r.wants(f)
	s := int(encrypt) * 1000
	if encrypt != never {
		s += int(mixedAllow-r.mixed) * 100
		if !r.plain {
			s += 10
		}
	}
	return s + int(sign)
}
