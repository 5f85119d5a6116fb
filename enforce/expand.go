package enforce

import (
	"fmt"
	"slices"
)

// group decides on an address that its rule would have expanded, and that stands
// there all the same: its members are unknown, or it has none.
func (t *decision) group() {
	if t.to.Group.State == EmptyGroup {
		t.refuse(false, MissingGroup, fmt.Sprintf("the group %s has no members", t.to.Address))
		return
	}
	t.refuse(true, MissingGroup, fmt.Sprintf("cannot look up now who is in the group %s%s", t.to.Address, colon(t.to.Group.Reason)))
	t.undecided = true
}

// holdTogether makes everybody wait while it is open what becomes of one: by
// which rule, or who is in a group. It also makes everybody wait for a member of
// a group: the group has one answer for all of its members, and the others must
// not get the message a second time when the group is tried again. Then nothing
// that was decided on members counts, not even a refusal: they are asked for
// again with the group.
//
// Without a sender there is no one to notify of one who is held, and the message stays
// where it is: that is to wait, too.
func holdTogether(all []decision, sender bool) {
	waits := func(t *decision) bool {
		return t.temporary && (t.undecided || t.member()) || t.disposition == held && t.member() && !sender
	}
	some := false
	for i := range all {
		some = some || waits(&all[i])
	}
	if !some {
		return
	}
	decisions := make([]*decision, len(all))
	for i := range all {
		decisions[i] = &all[i]
	}
	t := find(decisions, func(t *decision) bool { return t.temporary && t.undecided })
	if t == nil {
		t = find(decisions, waits)
	}
	first := *t
	each(decisions, func(o *decision) bool {
		return o.member() && !o.temporary || !o.untouched && (o.disposition == send || o.disposition == held)
	}, func(o *decision) { o.wait(&first) })
}

// member reports a recipient who stands in the place of a group.
func (t *decision) member() bool { return len(t.to.Through) > 0 }

// partialGroup reports a plan that defers a member of a group and does not defer
// another one.
func partialGroup(f *Facts, plan Plan) error {
	deferred := make(map[string]bool)
	for _, r := range plan.Refused {
		if r.Temporary && known(f, r.Assigned) {
			for _, g := range f.Recipients[r.Index].Through {
				deferred[g.String()] = true
			}
		}
	}
	if len(deferred) == 0 {
		return nil
	}
	check := func(a Assigned) error {
		if !known(f, a) {
			return nil // said elsewhere
		}
		for _, g := range f.Recipients[a.Index].Through {
			if deferred[g.String()] {
				return fmt.Errorf("%q is decided on, and the group %q waits", a.Address, g)
			}
		}
		return nil
	}
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			if err := check(a); err != nil {
				return err
			}
		}
	}
	for _, r := range slices.Concat(plan.Stripped, plan.Held) {
		if err := check(r.Assigned); err != nil {
			return err
		}
	}
	for _, r := range plan.Refused {
		if !r.Temporary {
			if err := check(r.Assigned); err != nil {
				return err
			}
		}
	}
	return nil
}

func known(f *Facts, a Assigned) bool { return a.Index >= 0 && a.Index < len(f.Recipients) }
