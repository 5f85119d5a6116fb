package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

func TestCheckOfExpandedGroups(t *testing.T) {
	a, b, c, g, h := recipient(t, "a@x.org"), recipient(t, "b@x.org"), recipient(t, "c@x.org"), recipient(t, "g@x.org"), recipient(t, "h@x.org")
	to := func(rs ...relay.Recipient) []relay.Delivery { return []relay.Delivery{{Recipients: rs}} }
	group := func(g relay.Recipient, members ...relay.Recipient) relay.Expansion {
		x := relay.Expansion{Group: g.Address}
		for _, m := range members {
			x.Members = append(x.Members, m.Address)
		}
		return x
	}
	for _, tc := range []struct {
		name string
		env  []relay.Recipient
		o    relay.Outcome
		ok   bool
	}{
		{"members", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a, b)}, true},
		{"one refused", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a), Refused: []relay.Refusal{{Recipient: b}}}, true},
		{"one removed", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a), Stripped: []address.Address{b.Address}}, true},
		{"one named too", []relay.Recipient{a, g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a, b)}, true},
		{"in two groups", []relay.Recipient{g, h}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b), group(h, b, c)}, Deliveries: to(a, b, c)}, true},
		{"a group in another", []relay.Recipient{g, h}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, h), group(h, b)}, Deliveries: to(a, h, b)}, true},
		{"a member forgotten", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a)}, false},
		{"a member twice", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a, b, a)}, false},
		{"one named too, twice", []relay.Recipient{a, g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a, b)}, Deliveries: to(a, b, a)}, false},
		{"somebody who is no member", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a)}, Deliveries: to(a, c)}, false},
		{"the group itself too", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a)}, Deliveries: to(a, g)}, false},
		{"the group itself instead", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a)}, Deliveries: to(g)}, false},
		{"a group of nobody", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g)}}, false},
		{"a group that nobody named", []relay.Recipient{a}, relay.Outcome{Expanded: []relay.Expansion{group(g, b)}, Deliveries: to(a, b)}, false},
		{"a group expanded twice", []relay.Recipient{g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a), group(g, b)}, Deliveries: to(a, b)}, false},
		{"another recipient forgotten", []relay.Recipient{c, g}, relay.Outcome{Expanded: []relay.Expansion{group(g, a)}, Deliveries: to(a)}, false},
	} {
		if err := Check(&relay.Envelope{Recipients: tc.env}, &tc.o); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// reporter is a Handler that reports whom it is told of.
type reporter struct {
	relay.Handler
	fails, silent bool
}

func (r reporter) Report(_ relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
	var all []relay.Recipient
	for _, r := range e.About {
		all = append(all, r.Recipient)
	}
	if r.fails {
		return relay.Delivery{}, false, errors.New("no report")
	}
	return relay.Delivery{Recipients: all}, !r.silent, nil
}

func (reporter) Recipient(context.Context, *relay.Envelope, relay.Recipient) error {
	return nil
}

// joinCase draws an outcome as the gateway makes them: where a member of a group
// is deferred, all are.
func joinCase(t *rapid.T, tb *testing.T) (*relay.Envelope, *relay.Outcome) {
	people := []relay.Recipient{recipient(tb, "a@x.org"), recipient(tb, "b@x.org"), recipient(tb, "c@x.org"), recipient(tb, "d@x.org")}
	groups := []relay.Recipient{recipient(tb, "g@x.org"), recipient(tb, "h@x.org")}
	env, o := &relay.Envelope{}, &relay.Outcome{}
	in := map[string]relay.Recipient{}
	member := map[string]bool{}
	for _, p := range people {
		if rapid.Bool().Draw(t, "named "+p.Address.String()) {
			env.Recipients = append(env.Recipients, p)
			in[Key(p.Address)] = p
		}
	}
	for _, g := range groups[:rapid.IntRange(1, 2).Draw(t, "groups")] {
		env.Recipients = append(env.Recipients, g)
		x := relay.Expansion{Group: g.Address}
		for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 4, func(r relay.Recipient) string { return Key(r.Address) }).Draw(t, "members") {
			x.Members = append(x.Members, p.Address)
			in[Key(p.Address)], member[Key(p.Address)] = p, true
		}
		o.Expanded = append(o.Expanded, x)
	}
	wait := rapid.IntRange(0, 3).Draw(t, "members wait") == 0
	for _, p := range people {
		if _, there := in[Key(p.Address)]; !there {
			continue
		}
		fate := rapid.SampledFrom([]string{"copy", "copy", "refused", "stripped", "deferred"}).Draw(t, "fate of "+p.Address.String())
		if member[Key(p.Address)] && wait {
			fate = "deferred"
		} else if member[Key(p.Address)] && fate == "deferred" {
			fate = "copy"
		}
		switch fate {
		case "copy":
			o.Deliveries = append(o.Deliveries, relay.Delivery{Recipients: []relay.Recipient{p}})
		case "refused":
			o.Refused = append(o.Refused, relay.Refusal{Recipient: p, Err: fault.New(fault.Policy, "no", nil)})
		case "deferred":
			o.Refused = append(o.Refused, relay.Refusal{Recipient: p, Err: fault.New(fault.Unavailable, "later", nil)})
		default:
			o.Stripped = append(o.Stripped, p.Address)
		}
	}
	return env, o
}

// Every copy goes one way, every recipient of the envelope has one answer, and
// nobody in a group is left out without a word.
func TestJoin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		env, o := joinCase(rt, t)
		if err := Check(env, o); err != nil {
			rt.Fatalf("the case is none: %v", err)
		}
		j, err := Join(reporter{}, env, nil, o)
		if err != nil {
			rt.Fatal(err)
		}
		copies := map[string]int{}
		told := map[string]bool{}
		for i, d := range append(slices.Clone(j.Now), j.Store...) {
			for _, r := range d.Recipients {
				if i >= len(j.Now) && !slices.ContainsFunc(o.Deliveries, func(o relay.Delivery) bool { return o.Recipients[0].Address == r.Address }) {
					told[Key(r.Address)] = true // by the report
					continue
				}
				copies[Key(r.Address)]++
			}
		}
		for _, d := range o.Deliveries {
			if n := copies[Key(d.Recipients[0].Address)]; n != 1 {
				rt.Fatalf("%s gets %d copies", d.Recipients[0].Address, n)
			}
		}
		named := map[string]bool{}
		for _, r := range env.Recipients {
			named[Key(r.Address)] = true
		}
		f := newFates(o)
		for _, x := range o.Expanded {
			k := Key(x.Group)
			if j.Stored[k] == (j.Refused[k] != nil) {
				rt.Fatalf("group %s is stored: %v, and refused: %v", x.Group, j.Stored[k], j.Refused[k])
			}
			for _, m := range x.Members {
				r := f.refused[Key(m)]
				if j.Stored[k] && r != nil && (Temporary(r.Err) || !told[Key(m)] && !named[Key(m)]) {
					rt.Fatalf("group %s is accepted, and nobody hears of %s: %v", x.Group, m, r.Err)
				}
				if j.Refused[k] != nil && !Temporary(j.Refused[k]) && copies[Key(m)] > 0 {
					rt.Fatalf("group %s is refused, and %s gets it", x.Group, m)
				}
			}
		}
	})
}

func TestJoinRefusesAPartialGroup(t *testing.T) {
	a, b, g := recipient(t, "a@x.org"), recipient(t, "b@x.org"), recipient(t, "g@x.org")
	env := &relay.Envelope{Recipients: []relay.Recipient{g}}
	o := &relay.Outcome{
		Expanded:   []relay.Expansion{{Group: g.Address, Members: []address.Address{a.Address, b.Address}}},
		Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a}}},
		Refused:    []relay.Refusal{{Recipient: b, Err: fault.New(fault.Unavailable, "later", nil)}},
	}
	if j, err := Join(reporter{}, env, nil, o); err == nil || !Temporary(err) {
		t.Errorf("%+v, %v", j, err)
	}
	o.Refused[0].Err = fault.New(fault.Policy, "no", nil)
	if _, err := Join(reporter{fails: true}, env, nil, o); err == nil || !Temporary(err) {
		t.Errorf("without a report: %v", err)
	}
	if j, err := Join(reporter{silent: true}, env, nil, o); err != nil || len(j.Store) != 1 {
		t.Errorf("nobody wants a report: %+v, %v", j, err)
	}
	o.Deliveries, o.Stripped = nil, []address.Address{a.Address}
	j, err := Join(reporter{}, env, nil, o)
	if got := fmt.Sprint(j.Refused[Key(g.Address)]); err != nil || !strings.Contains(got, "no recipient is left") {
		t.Errorf("%s, %v", got, err)
	}
}
