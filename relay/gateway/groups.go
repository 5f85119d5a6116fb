package gateway

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/smime/address"
)

// errNoGroups is why it is unknown who is in a group.
var errNoGroups = errors.New("no directory with groups is configured")

// findGroups finds out what the decision depends on of groups, puts members in
// the place of groups, and returns what else is needed. A member is a recipient
// like all others: its rules are looked for, and may depend on groups again.
func (g *Gateway) findGroups(ctx context.Context, e *evidence) enforce.Needs {
	for {
		needs := g.Policy.Needs(&e.facts)
		if !g.findMemberships(ctx, &e.facts, needs.SenderGroups, needs.Groups) && !g.expandGroups(ctx, e, needs) {
			return needs
		}
	}
}

// maxAuthors is of how many authors of an inbound message the directory is asked:
// anybody may write as many as they like. The others stay unknown.
const maxAuthors = 5

// inboundGroups finds out what the rules ask of inbound mail: of the envelope
// sender, of each author, and of the recipients. Where no profile asks anything
// of inbound mail no directory is asked: whatever the rule, the verdict is the same.
func (g *Gateway) inboundGroups(ctx context.Context, f *enforce.Facts) {
	if !g.hasMinimum() || !g.Policy.LooksAtGroups() {
		return
	}
	ask := func(sender address.Address) map[string]enforce.MembershipFacts {
		as := *f // the recipients are the same
		as.Sender, as.SenderGroups = sender, nil
		needs := g.Policy.Needs(&as)
		g.findMemberships(ctx, &as, needs.SenderGroups, needs.Groups)
		return as.SenderGroups
	}
	f.SenderGroups = ask(f.Sender)
	for _, a := range f.From[:min(len(f.From), maxAuthors)] {
		f.AuthorGroups = append(f.AuthorGroups, ask(a))
	}
}

// each runs f for the numbers below n, several at once. A panic in a goroutine
// would end the process: it passes by the recover of Process.
func (g *Gateway) each(n int, f func(i int)) {
	switch n { // most messages need no goroutine for it, and many nothing
	case 0:
		return
	case 1:
		f(0)
		return
	}
	var group errgroup.Group
	group.SetLimit(g.Lookups)
	for i := range n {
		group.Go(func() error {
			return guard.Do(nil, "lookup", func() error {
				f(i)
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		panic(err)
	}
}

// question is one about an address and a group.
type question struct {
	who   address.Address
	group string
	to    map[string]enforce.MembershipFacts // where the answer goes
}

// findMemberships asks for memberships of the sender and of each recipient, and reports
// whether there were any to ask for.
func (g *Gateway) findMemberships(ctx context.Context, f *enforce.Facts, ofSender []string, ofRecipients [][]string) bool {
	var all []question
	ask := func(who address.Address, names []string, facts *map[string]enforce.MembershipFacts) {
		if *facts == nil && len(names) > 0 {
			*facts = make(map[string]enforce.MembershipFacts)
		}
		for _, name := range names {
			all = append(all, question{who, name, *facts})
		}
	}
	ask(f.Sender, ofSender, &f.SenderGroups)
	for i := range f.Recipients {
		ask(f.Recipients[i].Address, ofRecipients[i], &f.Recipients[i].Groups)
	}
	answers := make([]enforce.MembershipFacts, len(all))
	g.each(len(all), func(i int) { answers[i] = g.membership(ctx, all[i]) })
	for i, q := range all {
		q.to[q.group] = answers[i]
	}
	return len(all) > 0
}

func (g *Gateway) membership(ctx context.Context, q question) enforce.MembershipFacts {
	in, err := false, errNoGroups
	if g.Groups != nil {
		in, err = g.Groups.InGroup(ctx, q.who, q.group)
	}
	switch {
	case err != nil:
		return enforce.MembershipFacts{Reason: "group membership lookup failed"}
	case in:
		return enforce.MembershipFacts{State: enforce.Member}
	}
	return enforce.MembershipFacts{State: enforce.NotMember}
}
