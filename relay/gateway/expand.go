package gateway

import (
	"context"
	"log/slog"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
)

// expandGroups asks who is in the groups that are to be expanded, and reports
// whether there were any. A group with unknown members stays where it is.
func (g *Gateway) expandGroups(ctx context.Context, e *evidence, needs enforce.Needs) bool {
	var asked []int
	for i, expand := range needs.Expand {
		if expand {
			asked = append(asked, i)
		}
	}
	answers := make([]groupAnswer, len(asked))
	g.each(len(asked), func(i int) { answers[i] = g.members(ctx, e.facts.Recipients[asked[i]].Address) })
	found := make(map[string]answer.Expansion) // by key of the group
	for n, i := range asked {
		e.facts.Recipients[i].Group = answers[n].GroupFacts
		if a := answers[n]; a.isGroup {
			found[g.key(a.Group)] = a.Expansion
		}
	}
	if len(found) > 0 {
		g.replace(e, found)
	}
	return len(asked) > 0
}

// groupAnswer is what the directory says of an address that may be a group's.
type groupAnswer struct {
	answer.Expansion
	enforce.GroupFacts
	isGroup bool
}

func (g *Gateway) members(ctx context.Context, a address.Address) groupAnswer {
	if g.Groups == nil {
		return groupAnswer{GroupFacts: enforce.GroupFacts{Asked: true, Reason: errNoGroups.Error()}}
	}
	x, ok, err := g.Groups.Expand(ctx, a)
	switch {
	case err != nil:
		return groupAnswer{GroupFacts: enforce.GroupFacts{Asked: true, Reason: "group membership lookup failed"}}
	case !ok:
		return groupAnswer{GroupFacts: enforce.GroupFacts{Asked: true, State: enforce.NoGroup}}
	}
	// A group that has its own address in it is a circle: nothing is lost by
	// leaving it out.
	members := slices.DeleteFunc(slices.Clone(x.Members), func(m address.Address) bool { return g.key(m) == g.key(a) })
	if len(members) == 0 {
		return groupAnswer{GroupFacts: enforce.GroupFacts{Asked: true, State: enforce.EmptyGroup}}
	}
	return groupAnswer{Expansion: answer.Expansion{Group: a, Members: members, Notes: x.Notes}, isGroup: true}
}

// expanded is an envelope with the members in the place of groups, whose
// recipients are those of the facts; the envelope itself where there are no groups.
func (e *evidence) expanded(env *relay.Envelope) *relay.Envelope {
	if len(e.expansions) == 0 {
		return env
	}
	out := *env
	out.Recipients = e.recipients
	return &out
}

// key is by what recipients are compared.
func (g *Gateway) key(a address.Address) string { return a.Key(g.LocalPart) }

// replace puts members in the place of groups. Who is there already, named in
// the envelope or by another group, stays one recipient.
func (g *Gateway) replace(e *evidence, found map[string]answer.Expansion) {
	old, recipients := e.facts.Recipients, e.recipients
	e.facts.Recipients, e.recipients = nil, nil
	g.cut(old, found)
	at := make(map[string]int)
	for i, to := range old {
		if _, group := found[g.key(to.Address)]; !group {
			at[g.key(to.Address)] = len(e.recipients)
			e.facts.Recipients, e.recipients = append(e.facts.Recipients, to), append(e.recipients, recipients[i])
		}
	}
	for i, to := range old {
		x, group := found[g.key(to.Address)]
		if !group {
			continue
		}
		x.Group, x.Members = to.Address, g.flat(x, found)
		for n, m := range x.Members {
			k, there := at[g.key(m)]
			if !there {
				k = len(e.recipients)
				at[g.key(m)] = k
				e.recipients = append(e.recipients, inPlaceOf(recipients[i], m))
				member := g.recipientFacts(m)
				member.Unnamed, member.Hidden = true, e.hides(m)
				e.facts.Recipients = append(e.facts.Recipients, member)
			}
			r := &e.facts.Recipients[k]
			r.Through = append(r.Through, to.Address)
			// A group that is shown shows its members.
			r.Hidden = r.Hidden && to.Hidden
			x.Members[n] = r.Address // one spelling for all
		}
		e.expansions = append(e.expansions, x)
	}
}

// cut leaves those groups where they are that have only each other in them.
func (g *Gateway) cut(recipients []enforce.RecipientFacts, found map[string]answer.Expansion) {
	for i := range recipients {
		k := g.key(recipients[i].Address)
		if x, ok := found[k]; ok && len(g.flat(x, found)) == 0 {
			recipients[i].Group.State = enforce.EmptyGroup
			delete(found, k)
		}
	}
}

// flat returns the members of a group. One that is the address of another group
// of the message, which is expanded too, gives way to the members of that one.
func (g *Gateway) flat(x answer.Expansion, found map[string]answer.Expansion) []address.Address {
	var members []address.Address
	seen := map[string]bool{g.key(x.Group): true}
	for open := slices.Clone(x.Members); len(open) > 0; open = open[1:] {
		m := open[0]
		if seen[g.key(m)] {
			continue
		}
		seen[g.key(m)] = true
		if inner, ok := found[g.key(m)]; ok {
			open = append(open, inner.Members...)
		} else {
			members = append(members, m)
		}
	}
	return members
}

// inPlaceOf is a member as a recipient: the sender's wishes for the group hold
// for it, and reports name what the sender wrote (RFC 3461 sections 4.2, 5.2.7).
func inPlaceOf(group relay.Recipient, member address.Address) relay.Recipient {
	r := group
	r.Address = member
	if r.Original == "" && group.Address.ASCII() {
		r.OriginalType, r.Original = "rfc822", group.Address.String()
	}
	return r
}

// logExpansions writes who stands for which group, by number: the members have
// lines of their own.
func (g *Gateway) logExpansions(env *relay.Envelope, e *evidence) {
	for _, x := range e.expansions {
		g.Log.Info("group expanded",
			slog.String("id", env.ID), slog.String("queue_id", env.QueueID),
			slog.String("group", x.Group.String()), slog.Int("members", len(x.Members)), slog.Int("left_out", len(x.Notes)))
	}
}
