package enforce

import "slices"

// Replay is what rules decide on the facts of a message of the past.
type Replay struct {
	Plan Plan
	// Lacks says for each recipient what the decision depends on and the facts do not have,
	// in words: then what the plan says of the recipient counts for nothing.
	Lacks [][]string
}

// Replay decides on facts that were gathered for other rules, and that have nothing of the
// header and the attachments. What is not known is not asked for, and not guessed.
func (p *Policy) Replay(f Facts) Replay {
	f.Content = unread(f.Content, p.fields, p.attachments)
	a := Replay{Lacks: p.lacks(&f), Plan: Decide(p, &f)}
	if !slices.ContainsFunc(a.Lacks, func(l []string) bool { return len(l) > 0 }) {
		return a
	}
	// What becomes of one recipient may depend on the others.
	known, at := f, []int{}
	known.Recipients = nil
	for i := range f.Recipients {
		if len(a.Lacks[i]) == 0 {
			known.Recipients, at = append(known.Recipients, f.Recipients[i]), append(at, i)
		}
	}
	known.Others += len(f.Recipients) - len(at)
	with, without := a.Plan.Treated(len(f.Recipients)), Decide(p, &known).Treated(len(at))
	for j, i := range at {
		if with[i].Rule != without[j].Rule || with[i].Treatment != without[j].Treatment {
			a.Lacks[i] = []string{"what becomes of other recipients"}
		}
	}
	return a
}

// unread is content of which these fields of the header, and the attachments, may say
// anything.
func unread(c Content, fields []string, attachments bool) Content {
	c.Unread = make(map[string]bool, len(fields))
	for _, name := range fields {
		c.Unread[name] = true
	}
	if attachments {
		c.Attachments = []Attachment{{Unread: true}}
	}
	return c
}

// lacks says what the facts lack, by recipient.
func (p *Policy) lacks(f *Facts) [][]string {
	needs := p.Needs(f)
	all := make([][]string, len(f.Recipients))
	for i := range f.Recipients {
		to := &f.Recipients[i]
		c := p.decided(f, to)
		l := &all[i]
		if c.unsure {
			*l = append(*l, "the header or the attachments")
		}
		for _, g := range append(needs.Groups[i], needs.SenderGroups...) {
			*l = append(*l, "group "+g)
		}
		if needs.Expand[i] {
			*l = append(*l, "the members of the recipient")
		}
		if needs.Certificate[i] && !to.Certificate.asked() {
			*l = append(*l, "certificates of the recipient")
		}
		if needs.Domain[i] != "" && to.Certificate.State == None && (to.DomainOf != needs.Domain[i] || !to.Domain.asked()) {
			*l = append(*l, "the domain certificate")
		}
		*l = append(*l, p.lacksOf(f, c)...)
	}
	return all
}

// asked reports whether there was a lookup.
func (c CertificateFacts) asked() bool { return c.State != Unknown || c.Reason != "" }

// lacksOf says what the facts lack of what one rule needs besides the recipient.
func (p *Policy) lacksOf(f *Facts, c choice) (list []string) {
	if c.rule == nil {
		return nil
	}
	one := *p
	one.rules, one.groupless = []*rule{c.rule.always()}, true
	one.index = newIndex(one.rules)
	needs := one.Needs(f)
	if needs.Sender && f.Identity == Unknown && f.IdentityReason == "" {
		list = append(list, "identities of the sender")
	}
	for _, name := range needs.Identities {
		if _, ok := f.Identities[name]; !ok {
			list = append(list, "the identity "+name)
		}
	}
	for _, name := range needs.Further {
		if _, ok := f.Further[name]; !ok {
			list = append(list, "certificates of "+name)
		}
	}
	return list
}

// always is the rule without its conditions.
func (r *rule) always() *rule {
	c := *r
	c.direction, c.sender, c.exceptSender, c.recipient, c.exceptRecipient = "", nil, nil, nil, nil
	c.conditions, c.groups, c.subjects, c.fields = nil, nil, nil, nil
	return &c
}

// Treated is what a plan has done for a recipient.
type Treated struct {
	Assigned
	// Treatment is "signed, encrypted", "signed", "encrypted", "passed", "reported", "refused",
	// "deferred", "stripped" or "held"; Reason says why it is one of the last four.
	Treatment, Reason string
}

// Treated returns what is done for each recipient of the facts that p was made of, in
// their order.
func (p Plan) Treated(recipients int) []Treated {
	all := make([]Treated, recipients)
	for i := range p.Copies {
		for _, a := range p.Copies[i].Recipients {
			all[a.Index] = Treated{a, p.Copies[i].Treatment(), ""}
			if a.Report != "" {
				all[a.Index].Treatment = "reported"
			}
		}
	}
	for _, r := range p.Refused {
		all[r.Index] = Treated{r.Assigned, r.Treatment(), r.Reason}
	}
	for _, r := range p.Stripped {
		all[r.Index] = Treated{r.Assigned, "stripped", r.Reason}
	}
	for _, r := range p.Held {
		all[r.Index] = Treated{r.Assigned, "held", r.Reason}
	}
	return all
}

// Treatment names the steps of a copy, for logs, explanations and the history.
func (c Copy) Treatment() string {
	switch {
	case c.Sign != nil && c.Encrypt != nil:
		return "signed, encrypted"
	case c.Sign != nil:
		return "signed"
	case c.Encrypt != nil:
		return "encrypted"
	}
	return "passed"
}

// Treatment is "refused" or "deferred".
func (r Refusal) Treatment() string {
	if r.Temporary {
		return "deferred"
	}
	return "refused"
}

// InboundReplay is what inbound rules decide on the facts of a message of the past.
type InboundReplay struct {
	Decisions []InboundDecision
	Lacks     [][]string // as in Replay
}

// Replay decides on facts that have nothing of the header and the attachments.
func (p *InboundPolicy) Replay(f Facts) InboundReplay {
	if !p.Empty() {
		f.Content = unread(f.Content, p.fields, p.attachments)
	}
	a := InboundReplay{Decisions: p.Decide(&f), Lacks: make([][]string, len(f.Recipients))}
	if p.Empty() {
		return a
	}
	groups := p.Groups(&f)
	for i := range f.Recipients {
		l := &a.Lacks[i]
		c := p.first(&f, &f.Recipients[i])
		if c.unsure && !c.unknown {
			*l = append(*l, "the header or the attachments")
		}
		if c.unsure && groups != nil {
			for _, g := range groups[i] {
				*l = append(*l, "group "+g)
			}
		}
	}
	return a
}

// Treatment names what is done with the message: "delivered", "tagged", "quarantined",
// "refused", "deferred" or "reported".
func (d *InboundDecision) Treatment() string {
	switch {
	case d.Report != "":
		return "reported"
	case d.Action == Quarantine:
		return "quarantined"
	case d.Action == Reject && d.Temporary:
		return "deferred"
	case d.Action == Reject:
		return "refused"
	case d.Action == Tag:
		return "tagged"
	}
	return "delivered"
}
