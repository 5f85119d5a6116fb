package enforce

import (
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// InboundDecision is what becomes of an inbound message for one recipient.
type InboundDecision struct {
	Assigned
	Action Action
	// Form is how the message is delivered, now or when it is released.
	Form Form
	// Silent says that what decryption found may decide between delivery and quarantine.
	// Nothing may be reported to the outside then: that a delivery failed would tell that
	// there was one.
	Silent bool
	// Archive says that the message as it came is archived before anything is done with
	// it: always, where that must not tell what decryption found, and else where it is
	// delivered in another form.
	Archive bool
	// Temporary says of Reject that trying again later may help.
	Temporary bool
	// Reason says in words why the message is rejected or in quarantine. Where the
	// action is Reject it is for the client.
	Reason string
	// ToRecipient and Notify are who is notified of a message in quarantine.
	ToRecipient bool
	Notify      []address.Address
}

// Decide says what becomes of a message for each recipient, in their order. The
// first rule that matches decides; where it is unknown whether a rule matches, the
// one of those that may be the first that protects most. A message that no rule
// matches is delivered.
//
// What the client learns of a message that was encrypted depends on nothing that
// decryption found: where a rule would reject for such a reason, the message goes into
// quarantine instead, and the client hears what it hears of every message that was
// accepted.
func (p *InboundPolicy) Decide(f *Facts) []InboundDecision {
	all := make([]InboundDecision, len(f.Recipients))
	for i := range f.Recipients {
		to := &f.Recipients[i]
		all[i] = InboundDecision{Assigned: Assigned{Index: i, Address: to.Address}}
		if !p.Empty() {
			p.decide(f, to, &all[i])
			all[i].Silent = f.Found.Secret && p.mayWithhold(f, to)
			all[i].Archive = all[i].Form.Original == OriginalArchived && !all[i].Action.withholds() ||
				f.Found.Secret && all[i].Action != Reject && p.mayArchive(f, to)
		}
	}
	return all
}

func (p *InboundPolicy) decide(f *Facts, to *RecipientFacts, d *InboundDecision) {
	c := p.first(f, to)
	r := c.rule
	if r == nil {
		return
	}
	d.Rule, d.Line, d.Action, d.Form = r.name, r.line, r.action, r.form
	d.ToRecipient, d.Notify = r.toRecipient, r.notify
	switch {
	case c.unknown:
		d.Note = "the strictest rule that may match, because group membership lookup failed"
	case c.unsure:
		d.Note = "the strictest rule that may match, because a header field or a file name is ambiguous"
	}
	found := f.Found
	if d.Action == Reject && found.Secret {
		if p.knownBefore(f, to) {
			found = found.beforeDecryption()
		} else {
			d.Action = Quarantine
			d.Note = "quarantined instead of rejected: the client must not learn what decryption found"
		}
	}
	later := (found.Result == "temperror" || c.unknown) && p.mayDoLess(f, found, to, d.Action)
	d.Temporary = d.Action == Reject && later
	if d.Action.withholds() {
		d.Reason = found.why(r, later)
	}
	if r.report {
		d.Report, d.Action, d.Form, d.Temporary = d.outcome(), Deliver, Form{}, false
	}
}

// withholds reports whether a message does not reach its recipient.
func (a Action) withholds() bool { return a >= Quarantine }

// inboundChoice is the rule that decides, nil if there is none.
type inboundChoice struct {
	rule *inboundRule
	// unsure says that another rule may, unknown that this depends on a group.
	unsure, unknown bool
}

// first returns the rule that decides.
func (p *InboundPolicy) first(f *Facts, to *RecipientFacts) (c inboundChoice) {
	v := newView(f, to)
	for i := range p.rules {
		candidate := &p.rules[i]
		matches := candidate.applies(&v)
		if matches == no {
			continue
		}
		if c.rule == nil || candidate.strictness() > c.rule.strictness() {
			c.rule = candidate
		}
		if matches == yes {
			return c
		}
		c.unsure = true
		c.unknown = c.unknown || candidate.belongs(&v) == MemberUnknown
	}
	return c
}

// applies says whether all conditions hold.
func (r *inboundRule) applies(v *view) answer {
	result := r.matches(v, true)
	switch {
	case result == no || len(r.groups) == 0:
		return result
	case r.belongs(v) == NotMember:
		return no
	case r.belongs(v) == MemberUnknown:
		return maybe
	}
	return result
}

// Groups returns for each recipient the groups of which it may matter whether it is in
// them, whatever is found in the message: when they are asked for must not depend on it.
// It is nil if no rule has a condition on groups.
func (p *InboundPolicy) Groups(f *Facts) [][]string {
	if p == nil || !p.groups {
		return nil
	}
	groups := make([][]string, len(f.Recipients))
	before := *f
	before.Found = Found{unopened: true}
	for i := range f.Recipients {
		v := newView(&before, &f.Recipients[i])
		for j := range p.rules {
			r := &p.rules[j]
			matches := r.applies(&v)
			if matches == yes {
				break
			}
			for k := range r.groups {
				if matches == maybe {
					groups[i] = append(groups[i], r.groups[k].open(&v)...)
				}
			}
		}
		groups[i] = distinct(groups[i])
	}
	return groups
}

// strictness is a measure of what the rule does to protect the recipient.
func (r *inboundRule) strictness() int {
	if r.report {
		return -1
	}
	return int(r.action)
}

// mayDoLess reports whether the rules may protect less than an action does once all is
// known that is unknown now: what a signature is worth, and who is in a group.
func (p *InboundPolicy) mayDoLess(f *Facts, found Found, to *RecipientFacts, than Action) bool {
	now := *f
	now.Found = found
	now.Found.unchecked = found.Result == "temperror"
	v := newView(&now, to)
	for i := range p.rules {
		r := &p.rules[i]
		matches := r.applies(&v)
		if matches == no {
			continue
		}
		if r.strictness() < int(than) {
			return true
		}
		if matches == yes {
			return false
		}
	}
	return true // no rule may match
}

// knownBefore reports whether the rule that decides was certain before anything
// was decrypted.
func (p *InboundPolicy) knownBefore(f *Facts, to *RecipientFacts) bool {
	before := *f
	before.Found = f.Found.beforeDecryption()
	return !p.first(&before, to).unsure
}

// mayWithhold reports whether, by what was known before anything was decrypted, some
// rule may have withheld the message that did not have to.
func (p *InboundPolicy) mayWithhold(f *Facts, to *RecipientFacts) bool {
	before := *f
	before.Found = f.Found.beforeDecryption()
	v := newView(&before, to)
	withheld, unsure := false, false
	for i := range p.rules {
		r := &p.rules[i]
		matches := r.applies(&v)
		if matches == no {
			continue
		}
		withheld = withheld || r.action.withholds() && !r.report
		if matches == yes {
			return withheld && unsure
		}
		unsure = true
	}
	return withheld
}

// mayArchive reports whether, by what was known before anything was decrypted, some rule
// may have the message archived.
func (p *InboundPolicy) mayArchive(f *Facts, to *RecipientFacts) bool {
	before := *f
	before.Found = f.Found.beforeDecryption()
	v := newView(&before, to)
	for i := range p.rules {
		r := &p.rules[i]
		matches := r.applies(&v)
		if matches != no && r.form.Original == OriginalArchived && !r.report {
			return true
		}
		if matches == yes {
			return false
		}
	}
	return false
}

// outcome says in words what becomes of a recipient.
func (d *InboundDecision) outcome() string {
	switch {
	case d.Action == Reject && d.Temporary:
		return "deferred: " + d.Reason
	case d.Action == Reject:
		return "refused: " + d.Reason
	case d.Action == Quarantine:
		return "quarantined: " + d.Reason
	case d.Action == Tag:
		return "delivered with a tag"
	}
	return "delivered"
}

// why says for people what of it the rule that decided is about. later says that the rules
// may do less when more is known.
func (f *Found) why(r *inboundRule, later bool) string {
	switch {
	case f.outer:
		return "encrypted mail is not accepted here in this form"
	case f.Result == "temperror" && later:
		return "its S/MIME signature cannot be checked now" + f.because()
	case r.plain && !r.judges:
		return "it is not encrypted"
	case f.Result == "temperror":
		return "policy does not accept it"
	case f.Result == "pass":
		return "its S/MIME signature is valid, and policy does not accept it"
	case !f.Signed && f.Reason == "" && f.Encrypted:
		return "it is encrypted and not signed"
	case !f.Signed && f.Reason == "":
		return "it has no S/MIME signature"
	case !f.Signed:
		return "it cannot be accepted as S/MIME" + f.because()
	}
	return "its S/MIME signature is not valid" + f.because()
}

func (f *Found) because() string {
	if f.Reason == "" {
		return ""
	}
	return ": " + strings.ReplaceAll(f.Reason, "-", " ")
}
