package gateway

import (
	"maps"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ExplainedGroup is a group of the envelope with those in its place.
type ExplainedGroup struct {
	Group   string   `json:"group"`
	Members []string `json:"members"`
	Notes   []string `json:"notes,omitempty"`
}

// ExplainedMembership is what the directory said about an address and a group that a
// rule names.
type ExplainedMembership struct {
	Group string `json:"group"`
	// Member is "yes", "no" or "unknown".
	Member string `json:"member"`
	Reason string `json:"reason,omitempty"`
}

// groups tells what was found out of groups.
func (x *Explanation) groups(e *evidence) {
	x.SenderGroups = explainedMemberships(e.facts.SenderGroups)
	for _, g := range e.expansions {
		x.Expanded = append(x.Expanded, ExplainedGroup{Group: g.Group.String(), Members: texts(g.Members), Notes: g.Notes})
	}
}

func (r *ExplainedRecipient) groups(f enforce.RecipientFacts) {
	r.Through = texts(f.Through)
	r.Memberships = explainedMemberships(f.Groups)
}

func texts(list []address.Address) []string {
	var all []string
	for _, a := range list {
		all = append(all, a.String())
	}
	return all
}

func explainedMemberships(known map[string]enforce.MembershipFacts) []ExplainedMembership {
	words := map[enforce.Membership]string{enforce.Member: "yes", enforce.NotMember: "no", enforce.MemberUnknown: "unknown"}
	var all []ExplainedMembership
	for _, name := range slices.Sorted(maps.Keys(known)) {
		all = append(all, ExplainedMembership{Group: name, Member: words[known[name].State], Reason: known[name].Reason})
	}
	return all
}
