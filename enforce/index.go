package enforce

import "slices"

// index finds the rules that can match a recipient without looking at each. A
// rule is listed under what its recipients are, or else its senders; one that
// names neither, or has globs, or the null sender, is a candidate for everybody.
type index struct {
	everybody           []int
	recipients, senders places
}

// places lists rules, in their order, under addresses and domains.
type places struct {
	addresses, domains, above map[string][]int
}

func newIndex(rules []*rule) index {
	x := index{recipients: newPlaces(), senders: newPlaces()}
	for i, r := range rules {
		switch {
		case r.recipient.indexable():
			x.recipients.add(i, r.recipient)
		case r.sender.indexable():
			x.senders.add(i, r.sender)
		default:
			x.everybody = append(x.everybody, i)
		}
	}
	return x
}

func (p *Patterns) indexable() bool { return p != nil && len(p.globs) == 0 && !p.null }

func newPlaces() places {
	return places{addresses: make(map[string][]int), domains: make(map[string][]int), above: make(map[string][]int)}
}

func (x *places) add(i int, p *Patterns) {
	for _, of := range []struct {
		lists map[string][]int
		keys  map[string]struct{}
	}{{x.addresses, p.addresses}, {x.domains, p.domains}, {x.above, p.above}} {
		for key := range of.keys {
			of.lists[key] = append(of.lists[key], i)
		}
	}
}

// lists appends the lists of rules that m is under.
func (x *places) lists(to [][]int, m mailbox) [][]int {
	add := func(list []int) {
		if len(list) > 0 {
			to = append(to, list)
		}
	}
	add(x.addresses[m.key])
	add(x.domains[m.domain])
	if len(x.above) > 0 {
		m.parents(func(d string) bool {
			add(x.above[d])
			return false
		})
	}
	return to
}

// first returns the first rule, in their order, of which ok holds; nil if none.
func (x *index) first(rules []*rule, v *view, ok func(*rule) bool) *rule {
	var room [16][]int
	lists := append(room[:0], x.everybody)
	lists = x.recipients.lists(lists, v.recipient)
	lists = x.senders.lists(lists, v.sender)
	for {
		lists = slices.DeleteFunc(lists, func(l []int) bool { return len(l) == 0 })
		if len(lists) == 0 {
			return nil
		}
		next := 0
		for i, l := range lists {
			if l[0] < lists[next][0] {
				next = i
			}
		}
		r := rules[lists[next][0]]
		lists[next] = lists[next][1:]
		if ok(r) {
			return r
		}
	}
}
