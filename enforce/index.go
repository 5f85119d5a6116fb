package enforce

import (
	"slices"
	"strings"
)

// index finds the rules that can match a recipient without looking at each. A
// rule is listed under what its recipients are, or else its senders, or else its
// subjects or its fields of the header; one that names none of these, or a glob without
// a text to begin or to end with, or the null sender, is a candidate for everybody.
type index struct {
	everybody           []int
	recipients, senders places
	contents            contents
}

// places lists rules, in their order, under addresses and domains, and under the texts
// with which the local part begins or the domain ends.
type places struct {
	addresses, domains, above map[string][]int
	locals, endings           literals
}

func newIndex(rules []*rule) index {
	x := index{recipients: newPlaces(), senders: newPlaces(), contents: newContents()}
	for i, r := range rules {
		switch {
		case r.recipient.indexable():
			x.recipients.add(i, r.recipient)
		case r.sender.indexable():
			x.senders.add(i, r.sender)
		case x.contents.add(i, r):
		default:
			x.everybody = append(x.everybody, i)
		}
	}
	return x
}

func (p *Patterns) indexable() bool {
	return p != nil && !p.null && !slices.ContainsFunc(p.globs, func(g glob) bool {
		local, ending := g.texts()
		return local == "" && ending == ""
	})
}

// texts returns the text with which a local part that matches begins, and the one with
// which its domain ends.
func (g glob) texts() (local, ending string) {
	local = g.local
	if i := strings.IndexAny(local, "*?"); i >= 0 {
		local = local[:i]
	}
	return local, g.domain[strings.LastIndexAny(g.domain, "*?")+1:]
}

func newPlaces() places {
	return places{
		addresses: make(map[string][]int), domains: make(map[string][]int), above: make(map[string][]int),
		locals: make(literals), endings: make(literals),
	}
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
	for _, g := range p.globs {
		if local, ending := g.texts(); local != "" {
			x.locals.add(local, i)
		} else {
			x.endings.add(ending, i)
		}
	}
}

// lists appends the lists of rules that m is under.
func (x *places) lists(to [][]int, m mailbox) [][]int {
	to = appendList(to, x.addresses[m.key])
	to = appendList(to, x.domains[m.domain])
	if len(x.above) > 0 {
		m.parents(func(d string) bool {
			to = appendList(to, x.above[d])
			return false
		})
	}
	if len(x.locals) > 0 {
		to = x.locals.prefixes(to, strings.ToLower(m.address.Local()))
	}
	return x.endings.suffixes(to, m.domain)
}

// first returns the first rule, in their order, of which ok holds; nil if none. Without
// late, ok passes conditions on the content over.
func (x *index) first(rules []*rule, v *view, late bool, ok func(*rule) bool) *rule {
	var room [16][]int
	lists := append(room[:0], x.everybody)
	lists = x.recipients.lists(lists, v.recipient)
	lists = x.senders.lists(lists, v.sender)
	lists = x.contents.lists(lists, v, late)
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
