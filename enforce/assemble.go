package enforce

import (
	"bytes"
	"cmp"
	"slices"
)

// treatment is what recipients must share to share a copy.
type treatment struct {
	sign    bool
	encrypt bool
	profile string
	steps   steps
	// alone is the index, plus one, of a hidden recipient of an encrypted copy:
	// recipient infos name every reader to every other (RFC 5652 section 6.2).
	alone int
}

// assemble makes the plan of the decisions.
func assemble(decisions []decision) Plan {
	var plan Plan
	groups := make(map[treatment][]int)
	for i := range decisions {
		t := &decisions[i]
		switch t.disposition {
		case refuse:
			plan.Refused = append(plan.Refused, t.refusal(i))
		case stripped:
			plan.Stripped = append(plan.Stripped, t.refusal(i))
		case held:
			r := t.refusal(i)
			r.Ask = t.rule.missing == ask
			plan.Held = append(plan.Held, r)
		default:
			k := t.treatment(i)
			groups[k] = append(groups[k], i)
		}
	}
	for k, members := range groups {
		plan.Copies = append(plan.Copies, makeCopy(k, members, decisions))
	}
	if len(plan.Copies)+len(plan.Held) == 0 {
		// No recipient remains: the sender gets a reply rather than a notice.
		plan.Refused = append(plan.Refused, plan.Stripped...)
		plan.Stripped = nil
	}
	plan.sort()
	return plan
}

func (t *decision) treatment(i int) treatment {
	if t.untouched {
		return treatment{}
	}
	k := treatment{sign: t.sign, encrypt: t.secrecy == secret, steps: steps{tag: t.rule.steps.tag}}
	if !t.meeting {
		k.steps.footer = t.rule.steps.footer
	}
	if k.sign {
		k.steps.identity = t.signer
	}
	if k.sign || k.encrypt {
		k.profile = t.rule.profileFor(t.to)
	}
	if k.encrypt && t.to.Hidden {
		k.alone = i + 1
	}
	return k
}

func makeCopy(k treatment, members []int, decisions []decision) Copy {
	c := Copy{SubjectTag: k.steps.tag, Footer: k.steps.footer}
	if k.sign {
		c.Sign = &Sign{Profile: k.profile, Identity: k.steps.identity}
	}
	if k.encrypt {
		c.Encrypt = &Encrypt{Profile: k.profile}
	}
	for _, i := range members {
		c.Recipients = append(c.Recipients, decisions[i].assigned(i))
		if k.encrypt {
			c.Encrypt.Certificates = append(c.Encrypt.Certificates, decisions[i].usable...)
		}
	}
	if k.encrypt {
		slices.SortFunc(c.Encrypt.Certificates, func(a, b Fingerprint) int { return bytes.Compare(a[:], b[:]) })
		c.Encrypt.Certificates = slices.Compact(c.Encrypt.Certificates)
	}
	return c
}

func (t *decision) assigned(i int) Assigned {
	a := Assigned{Index: i, Address: t.to.Address, Note: t.note, Report: t.report}
	if t.rule != nil {
		a.Rule, a.Line = t.rule.name, t.rule.line
	}
	return a
}

func (t *decision) refusal(i int) Refusal {
	return Refusal{Assigned: t.assigned(i), Temporary: t.temporary, Missing: t.missing, Reason: t.reason}
}

// sort puts the plan into an order that depends on the addresses only.
func (p *Plan) sort() {
	for _, c := range p.Copies {
		slices.SortFunc(c.Recipients, Assigned.compare)
	}
	slices.SortFunc(p.Copies, func(a, b Copy) int { return a.Recipients[0].compare(b.Recipients[0]) })
	byAddress := func(a, b Refusal) int { return a.compare(b.Assigned) }
	slices.SortFunc(p.Refused, byAddress)
	slices.SortFunc(p.Stripped, byAddress)
	slices.SortFunc(p.Held, byAddress)
}

func (a Assigned) compare(b Assigned) int {
	return cmp.Or(cmp.Compare(a.Address.String(), b.Address.String()), cmp.Compare(a.Index, b.Index))
}
