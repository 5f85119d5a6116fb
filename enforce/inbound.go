package enforce

import (
	"slices"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Demand is a rule whose profile has the minimum requirements for an inbound message.
type Demand struct {
	Rule    string
	Line    int // of the rule in its file; 0 if unknown
	Profile string
}

// Demands returns, for each recipient of an inbound message, the rules that match
// it: once as from the envelope sender, and once as from each author in From. A
// signature speaks for the author; and an attacker who names another sender in the
// envelope does not get around the rule for that author. Where it is unknown
// whether a rule matches, it counts, and so do those below it.
func (p *Policy) Demands(f *Facts) [][]Demand {
	senders := append([]address.Address{f.Sender}, f.From...)
	groups := append([]map[string]MembershipFacts{f.SenderGroups}, f.AuthorGroups...)
	groups = append(groups, make([]map[string]MembershipFacts, len(f.From))...)
	demands := make([][]Demand, len(f.Recipients))
	as := *f
	for i := range f.Recipients {
		for j, s := range senders {
			as.Sender, as.SenderGroups = s, groups[j]
			p.possible(&as, &f.Recipients[i], func(r *rule) {
				d := Demand{Rule: r.name, Line: r.line, Profile: r.profile}
				if !slices.Contains(demands[i], d) {
					demands[i] = append(demands[i], d)
				}
			})
		}
	}
	return demands
}

// possible calls found for each rule that may match a recipient as the first.
func (p *Policy) possible(f *Facts, to *RecipientFacts, found func(*rule)) {
	if p == nil {
		return
	}
	v := newView(f, to)
	p.index.first(p.rules, &v, true, func(r *rule) bool {
		matches, state := r.matches(&v, true), r.belongs(&v)
		if matches == no || state == NotMember {
			return false
		}
		found(r)
		return matches == yes && state == Member
	})
}
