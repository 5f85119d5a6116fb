package wire

import (
	"fmt"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Joint is an outcome with groups in it for a door that answers each recipient.
// A group has one answer for all of its members: their copies are stored
// together, with what the sender must be told, all or none. Nobody gets the
// message a second time because another member's next hop was down.
type Joint struct {
	// Now are the copies for recipients who are in no group.
	Now []relay.Delivery
	// Store are the copies for members, the notices, and a report of refused
	// members whose groups are accepted.
	Store []relay.Delivery
	// Stored are the keys of the recipients whose answer is that of storing:
	// groups, and members whom the envelope names too.
	Stored map[string]bool
	// Refused are the answers of groups that nobody in them gets the message by.
	Refused map[string]error
}

// Join sorts an outcome that Check found good. It errs where one member of a
// group is deferred and another is not: then nothing may be handed on.
func Join(h relay.Handler, env *relay.Envelope, msg *message.Message, o *relay.Outcome) (Joint, error) {
	j := Joint{Stored: make(map[string]bool), Refused: make(map[string]error)}
	fates := newFates(o)
	members := make(map[string]bool)
	tell := make(map[string]bool) // refused members whom no answer names
	for _, x := range o.Expanded {
		sum := fates.of(x)
		if sum.deferred != nil && sum.left+len(sum.gone.Refused)+len(sum.gone.Stripped) > 0 {
			return Joint{}, fault.Of(fmt.Errorf("group %q: some members are deferred and some are not", x.Group))
		}
		switch {
		case sum.deferred != nil:
			j.Refused[Key(x.Group)] = sum.deferred
		case sum.left == 0:
			j.Refused[Key(x.Group)] = nobodyLeft(&sum.gone)
		default:
			j.Stored[Key(x.Group)] = true
			for _, r := range sum.gone.Refused {
				tell[Key(r.Recipient.Address)] = true
			}
		}
		for _, m := range x.Members {
			members[Key(m)] = true
		}
	}
	for _, r := range env.Recipients {
		k := Key(r.Address)
		delete(tell, k) // it has an answer of its own
		if members[k] && fates.refused[k] == nil && !fates.stripped[k] {
			j.Stored[k] = true
		}
	}
	for _, d := range o.Deliveries {
		now, later := split(d, members)
		j.Now, j.Store = append(j.Now, now...), append(j.Store, later...)
	}
	j.Store = append(j.Store, o.Notices...)
	report, err := reportOn(h, env, msg, o, tell)
	j.Store = append(j.Store, report...)
	return j, err
}

// fates are what became of the recipients of an outcome, by key.
type fates struct {
	refused  map[string]*relay.Refusal
	stripped map[string]bool
}

func newFates(o *relay.Outcome) fates {
	f := fates{refused: make(map[string]*relay.Refusal), stripped: make(map[string]bool)}
	for i, r := range o.Refused {
		f.refused[Key(r.Recipient.Address)] = &o.Refused[i]
	}
	for _, a := range o.Stripped {
		f.stripped[Key(a)] = true
	}
	return f
}

// sum is what became of the members of a group together.
type sum struct {
	deferred error // of the first who is
	left     int   // get the message
	gone     relay.Outcome
}

func (f fates) of(x relay.Expansion) sum {
	var s sum
	for _, m := range x.Members {
		r := f.refused[Key(m)]
		switch {
		case r != nil && Temporary(r.Err):
			if s.deferred == nil {
				s.deferred = r.Err
			}
		case r != nil:
			s.gone.Refused = append(s.gone.Refused, *r)
		case f.stripped[Key(m)]:
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
		if members[Key(r.Address)] {
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

// reportOn reports the refused recipients in a set.
func reportOn(h relay.Handler, env *relay.Envelope, msg *message.Message, o *relay.Outcome, tell map[string]bool) ([]relay.Delivery, error) {
	var refused []relay.Refusal
	for _, r := range o.Refused {
		if tell[Key(r.Recipient.Address)] {
			refused = append(refused, r)
		}
	}
	if len(refused) == 0 {
		return nil, nil
	}
	d, ok, err := h.Report(relay.Delivery{Sender: env.Sender, Params: env.Params, Message: msg, Listener: env.Listener},
		relay.Event{Kind: relay.Failed, About: refused})
	if err != nil {
		return nil, fault.Of(err)
	}
	if !ok {
		return nil, nil
	}
	return []relay.Delivery{d}, nil
}
