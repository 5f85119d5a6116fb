package enforce

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check looks at a plan again, without regard to how Decide came to it: every
// recipient is in exactly one place, and no copy that must be encrypted lacks
// the step or a certificate of each of its recipients, or stands beside a copy in
// the clear without leave. A plan that fails must not be carried out.
func (p *Policy) Check(f *Facts, plan Plan) error {
	seen := make([]int, len(f.Recipients))
	count := func(a Assigned) error {
		if a.Index < 0 || a.Index >= len(seen) || f.Recipients[a.Index].Address != a.Address {
			return fmt.Errorf("recipient %q of the plan is not one of the facts", a.Address)
		}
		seen[a.Index]++
		return nil
	}
	var errs []error
	open := p.inTheClear(f, plan)
	for _, r := range slices.Concat(plan.Refused, plan.Stripped) {
		errs = append(errs, count(r.Assigned))
	}
	for _, h := range plan.Held {
		err := count(h.Assigned)
		if err == nil {
			err = p.checkHeld(f, h.Index, open)
		}
		errs = append(errs, err)
	}
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			err := count(a)
			if err == nil {
				err = p.checkCopy(f, c, a.Index, open)
			}
			errs = append(errs, err)
		}
	}
	errs = append(errs, partialGroup(f, plan))
	for i, n := range seen {
		if n != 1 {
			errs = append(errs, fmt.Errorf("recipient %q is in %d places of the plan", f.Recipients[i].Address, n))
		}
	}
	return errors.Join(errs...)
}

// checkCopy checks that copy c is fit for one of its recipients; open are those
// who get the message in the clear.
func (p *Policy) checkCopy(f *Facts, c Copy, i int, open []*RecipientFacts) error {
	to := &f.Recipients[i]
	chosen := p.decided(f, to)
	r, undecided := chosen.rule, chosen.open
	switch {
	case r == nil:
		return fmt.Errorf("no rule decides on %q", to.Address)
	case p.sealed(f):
		return nil
	case undecided != "":
		return fmt.Errorf("a copy for %q, and %s", to.Address, undecided)
	case r.expand && !to.Unnamed && to.Group.State != NoGroup && !r.untouched(f, to):
		return fmt.Errorf("a copy for %q, which may be a group", to.Address)
	case r.report || r.untouched(f, to):
		return nil
	}
	sign, encrypt := r.wants(f)
	switch {
	case f.SignExempt != "" && c.Sign != nil:
		return fmt.Errorf("the copy for %q is signed, and must not be: %s", to.Address, f.SignExempt)
	case sign == require && r.signs(f) && f.SignExempt == "" && c.Sign == nil && !f.Content.Report:
		return fmt.Errorf("the copy for %q must be signed and is not", to.Address)
	case c.Encrypt == nil:
		if encrypt == require || encrypt == prefer && to.Certificate.State == Unknown && !r.plain {
			return fmt.Errorf("the copy for %q must be encrypted and is not", to.Address)
		}
		return nil
	case !meets(to.Certificate.Usable, c.Encrypt.Certificates) &&
		(r.domainCertificate(to) == "" || !meets(to.Domain.Usable, c.Encrypt.Certificates)):
		return fmt.Errorf("the copy for %q is encrypted to no certificate of theirs", to.Address)
	case !r.hasFurther(f, c.Encrypt.Certificates):
		return fmt.Errorf("the copy for %q lacks a reader that the rule demands", to.Address)
	case encrypt == require && !r.toleratesAll(open):
		return fmt.Errorf("the copy for %q is encrypted, and there is one in the clear", to.Address)
	}
	return nil
}

// checkHeld checks that a recipient may wait: what is kept for one is a secret
// before all others.
func (p *Policy) checkHeld(f *Facts, i int, open []*RecipientFacts) error {
	to := &f.Recipients[i]
	r := p.match(f, to)
	switch {
	case r == nil || r.missing != hold && r.missing != ask || r.report:
		return fmt.Errorf("%q is held, and no rule says so", to.Address)
	case !r.toleratesAll(open):
		return fmt.Errorf("the message is held for %q, and there is a copy in the clear", to.Address)
	}
	return nil
}

// hasFurther reports whether a list has a certificate of everybody in
// also_encrypt_to.
func (r *rule) hasFurther(f *Facts, list []Fingerprint) bool {
	for also := range strings.FieldsSeq(r.steps.also) {
		if !meets(f.Further[also].Usable, list) {
			return false
		}
	}
	return true
}

// meets reports whether two lists have an element in common.
func meets(a, b []Fingerprint) bool {
	return slices.ContainsFunc(a, func(fp Fingerprint) bool { return slices.Contains(b, fp) })
}

// inTheClear returns the recipients of copies in the clear, but for those whose
// rules change nothing.
func (p *Policy) inTheClear(f *Facts, plan Plan) []*RecipientFacts {
	var open []*RecipientFacts
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			if c.Encrypt != nil || !known(f, a) {
				continue
			}
			to := &f.Recipients[a.Index]
			if chosen := p.decided(f, to); chosen.rule == nil || chosen.open != "" || !chosen.rule.report && !chosen.rule.sealed(f, to) {
				open = append(open, to)
			}
		}
	}
	return open
}
