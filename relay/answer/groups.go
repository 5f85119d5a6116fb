package answer

import (
	"fmt"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// groups is what the groups in an outcome mean where each recipient is answered. A
// group has one answer for all of its members: their copies are stored together,
// with what the sender must be notified of, all or none. No member gets the message a second
// time because another member's next hop was down.
type groups struct {
	// members are the keys of the members of all groups.
	members map[string]bool
	// stored are the keys of the recipients whose answer is that of storing: groups,
	// and members whom the envelope names too.
	stored map[string]bool
	// refused are the answers of groups of which no member gets the message.
	refused map[string]error
	// unreported are refused members whom no answer names, of groups that are accepted.
	unreported []relay.RecipientStatus
}

// groups errs where one member of a group is deferred and another is not: then
// nothing may be handed on.
func (o *Outcome) groups(env *relay.Envelope) (groups, error) {
	g := groups{members: make(map[string]bool), stored: make(map[string]bool), refused: make(map[string]error)}
	gone := newGone(o)
	unreported := make(map[string]bool)
	for _, x := range o.Expanded {
		sum := gone.of(x)
		if sum.deferred != nil && sum.left+len(sum.gone.Refused)+len(sum.gone.Stripped) > 0 {
			return g, fault.Of(fmt.Errorf("group %q: some members are deferred and some are not", x.Group))
		}
		switch {
		case sum.deferred != nil:
			g.refused[relay.Key(x.Group)] = sum.deferred
		case sum.left == 0:
			g.refused[relay.Key(x.Group)] = rejected(&sum.gone)
		default:
			g.stored[relay.Key(x.Group)] = true
			for _, r := range sum.gone.Refused {
				unreported[relay.Key(r.Recipient.Address)] = true
			}
		}
		for _, m := range x.Members {
			g.members[relay.Key(m)] = true
		}
	}
	for _, r := range env.Recipients {
		k := relay.Key(r.Address)
		delete(unreported, k) // it has an answer of its own
		if g.members[k] && gone.refused[k] == nil && !gone.stripped[k] {
			g.stored[k] = true
		}
	}
	for _, r := range o.Refused {
		if unreported[relay.Key(r.Recipient.Address)] {
			g.unreported = append(g.unreported, r)
		}
	}
	return g, nil
}

// gone are the recipients of an outcome who do not get the message, by key.
type gone struct {
	refused  map[string]*relay.RecipientStatus
	stripped map[string]bool
}

func newGone(o *Outcome) gone {
	g := gone{refused: make(map[string]*relay.RecipientStatus), stripped: make(map[string]bool)}
	for i, r := range o.Refused {
		g.refused[relay.Key(r.Recipient.Address)] = &o.Refused[i]
	}
	for _, a := range o.Stripped {
		g.stripped[relay.Key(a)] = true
	}
	return g
}

// sum is what became of the members of a group together.
type sum struct {
	deferred error // of the first who is
	left     int   // get the message
	gone     Outcome
}

func (g gone) of(x Expansion) sum {
	var s sum
	for _, m := range x.Members {
		r := g.refused[relay.Key(m)]
		switch {
		case r != nil && relay.Temporary(r.Err):
			if s.deferred == nil {
				s.deferred = r.Err
			}
		case r != nil:
			s.gone.Refused = append(s.gone.Refused, *r)
		case g.stripped[relay.Key(m)]:
			s.gone.Stripped = append(s.gone.Stripped, m)
		default:
			s.left++
		}
	}
	return s
}

// split takes a copy apart: for members, and for all others.
func split(d relay.Delivery, members map[string]bool) (now, later []relay.Delivery) {
	n, l := d, d
	n.Recipients, l.Recipients = nil, nil
	for _, r := range d.Recipients {
		if members[relay.Key(r.Address)] {
			l.Recipients = append(l.Recipients, r)
		} else {
			n.Recipients = append(n.Recipients, r)
		}
	}
	if len(n.Recipients) > 0 {
		now = []relay.Delivery{n}
	}
	if len(l.Recipients) > 0 {
		later = []relay.Delivery{l}
	}
	return now, later
}
