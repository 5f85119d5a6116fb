package answer

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
	group := func(g relay.Recipient, members ...relay.Recipient) Expansion {
		x := Expansion{Group: g.Address}
		for _, m := range members {
			x.Members = append(x.Members, m.Address)
		}
		return x
	}
	for _, tc := range []struct {
		name string
		env  []relay.Recipient
		o    Outcome
		ok   bool
	}{
		{"members", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a, b)}, true},
		{"one refused", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a), Refused: []relay.RecipientStatus{{Recipient: b}}}, true},
		{"one removed", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a), Stripped: []address.Address{b.Address}}, true},
		{"one named too", []relay.Recipient{a, g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a, b)}, true},
		{"in two groups", []relay.Recipient{g, h}, Outcome{Expanded: []Expansion{group(g, a, b), group(h, b, c)}, Deliveries: to(a, b, c)}, true},
		{"a group in another", []relay.Recipient{g, h}, Outcome{Expanded: []Expansion{group(g, a, h), group(h, b)}, Deliveries: to(a, h, b)}, true},
		{"a member forgotten", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a)}, false},
		{"a member twice", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a, b, a)}, false},
		{"one named too, twice", []relay.Recipient{a, g}, Outcome{Expanded: []Expansion{group(g, a, b)}, Deliveries: to(a, b, a)}, false},
		{"a recipient who is no member", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a)}, Deliveries: to(a, c)}, false},
		{"the group itself too", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a)}, Deliveries: to(a, g)}, false},
		{"the group itself instead", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a)}, Deliveries: to(g)}, false},
		{"a group without members", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g)}}, false},
		{"a group that is not a recipient", []relay.Recipient{a}, Outcome{Expanded: []Expansion{group(g, b)}, Deliveries: to(a, b)}, false},
		{"a group expanded twice", []relay.Recipient{g}, Outcome{Expanded: []Expansion{group(g, a), group(g, b)}, Deliveries: to(a, b)}, false},
		{"another recipient forgotten", []relay.Recipient{c, g}, Outcome{Expanded: []Expansion{group(g, a)}, Deliveries: to(a)}, false},
	} {
		if err := check(&relay.Envelope{Recipients: tc.env}, &tc.o); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// reporter reports all recipients it is asked about.
type reporter struct{ fails, silent bool }

func (r reporter) Report(_ context.Context, _ relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
	var all []relay.Recipient
	for _, r := range e.About {
		all = append(all, r.Recipient)
	}
	if r.fails {
		return relay.Delivery{}, false, errors.New("no report")
	}
	return relay.Delivery{Recipients: all}, !r.silent, nil
}

// joinCase draws an outcome as the gateway makes them: where a member of a group
// is deferred, all are.
func joinCase(t *rapid.T, tb *testing.T) (*relay.Envelope, *Outcome) {
	people := []relay.Recipient{recipient(tb, "a@x.org"), recipient(tb, "b@x.org"), recipient(tb, "c@x.org"), recipient(tb, "d@x.org")}
	groups := []relay.Recipient{recipient(tb, "g@x.org"), recipient(tb, "h@x.org")}
	env, o := &relay.Envelope{}, &Outcome{}
	in := map[string]relay.Recipient{}
	member := map[string]bool{}
	for _, p := range people {
		if rapid.Bool().Draw(t, "named "+p.Address.String()) {
			env.Recipients = append(env.Recipients, p)
			in[relay.Key(p.Address)] = p
		}
	}
	for _, g := range groups[:rapid.IntRange(1, 2).Draw(t, "groups")] {
		env.Recipients = append(env.Recipients, g)
		x := Expansion{Group: g.Address}
		for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 4, func(r relay.Recipient) string { return relay.Key(r.Address) }).Draw(t, "members") {
			x.Members = append(x.Members, p.Address)
			in[relay.Key(p.Address)], member[relay.Key(p.Address)] = p, true
		}
		o.Expanded = append(o.Expanded, x)
	}
	wait := rapid.IntRange(0, 3).Draw(t, "members wait") == 0
	for _, p := range people {
		if _, there := in[relay.Key(p.Address)]; !there {
			continue
		}
		fate := rapid.SampledFrom([]string{"copy", "copy", "refused", "stripped", "deferred"}).Draw(t, "fate of "+p.Address.String())
		if member[relay.Key(p.Address)] && wait {
			fate = "deferred"
		} else if member[relay.Key(p.Address)] && fate == "deferred" {
			fate = "copy"
		}
		switch fate {
		case "copy":
			o.Deliveries = append(o.Deliveries, relay.Delivery{Recipients: []relay.Recipient{p}})
		case "refused":
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: p, Err: fault.New(fault.Policy, "no", nil)})
		case "deferred":
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: p, Err: fault.New(fault.Unavailable, "later", nil)})
		default:
			o.Stripped = append(o.Stripped, p.Address)
		}
	}
	return env, o
}

// Every copy goes one way, every recipient of the envelope has one answer, and no
// member of a group is left out without a word.
func TestGroups(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		env, o := joinCase(rt, t)
		if err := check(env, o); err != nil {
			rt.Fatalf("the case is none: %v", err)
		}
		a, err := Of(context.Background(), o, env, nil, relay.Capabilities{EachRecipient: true}, reporter{})
		if err != nil {
			rt.Fatal(err)
		}
		copies, notified := map[string]int{}, map[string]bool{}
		for _, d := range slices.Concat(a.Deliver, a.Store.Copies) {
			for _, r := range d.Recipients {
				copies[relay.Key(r.Address)]++
			}
		}
		for _, d := range a.Store.Notices {
			for _, r := range d.Recipients {
				notified[relay.Key(r.Address)] = true
			}
		}
		for _, d := range o.Deliveries {
			if n := copies[relay.Key(d.Recipients[0].Address)]; n != 1 {
				rt.Fatalf("%s gets %d copies", d.Recipients[0].Address, n)
			}
		}
		named := map[string]relay.Disposition{}
		for i, r := range env.Recipients {
			named[relay.Key(r.Address)] = a.Recipients[i]
		}
		for _, r := range o.Refused {
			if f, ok := named[relay.Key(r.Recipient.Address)]; ok && f.Err == nil {
				rt.Fatalf("%s is refused and answered with %+v", r.Recipient.Address, f)
			}
		}
		gone := newGone(o)
		for _, x := range o.Expanded {
			f := named[relay.Key(x.Group)]
			if (f.Kind == relay.Queued) == (f.Err != nil) {
				rt.Fatalf("group %s: %+v", x.Group, f)
			}
			for _, m := range x.Members {
				k := relay.Key(m)
				r := gone.refused[k]
				_, answered := named[k]
				if f.Err == nil && r != nil && (relay.Temporary(r.Err) || !notified[k] && !answered) {
					rt.Fatalf("group %s is accepted, and %s is dropped in silence: %v", x.Group, m, r.Err)
				}
				if f.Err != nil && !relay.Temporary(f.Err) && copies[k] > 0 {
					rt.Fatalf("group %s is refused, and %s gets it", x.Group, m)
				}
			}
		}
	})
}

func TestPartialGroup(t *testing.T) {
	a, b, g := recipient(t, "a@x.org"), recipient(t, "b@x.org"), recipient(t, "g@x.org")
	env := &relay.Envelope{Recipients: []relay.Recipient{g}}
	o := &Outcome{
		Expanded:   []Expansion{{Group: g.Address, Members: []address.Address{a.Address, b.Address}}},
		Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a}}},
		Refused:    []relay.RecipientStatus{{Recipient: b, Err: fault.New(fault.Unavailable, "later", nil)}},
	}
	of := func(r reporter) (*relay.Answer, error) {
		return Of(context.Background(), o, env, nil, relay.Capabilities{EachRecipient: true}, r)
	}
	if got, err := of(reporter{}); err == nil || !relay.Temporary(err) {
		t.Errorf("%+v, %v", got, err)
	}
	o.Refused[0].Err = fault.New(fault.Policy, "no", nil)
	if _, err := of(reporter{fails: true}); err == nil || !relay.Temporary(err) {
		t.Errorf("without a report: %v", err)
	}
	if got, err := of(reporter{silent: true}); err != nil || len(got.Store.Copies) != 1 || len(got.Store.Notices) != 0 {
		t.Errorf("no report is wanted: %+v, %v", got, err)
	}
	o.Deliveries, o.Stripped = nil, []address.Address{a.Address}
	got, err := of(reporter{})
	if err != nil || !strings.Contains(fmt.Sprint(got.Recipients[0].Err), "all recipients rejected by policy") {
		t.Errorf("%+v, %v", got, err)
	}
}
