package enforce

// reported says that the rule only reports what it would do.
func (t *decision) reported() bool { return t.rule != nil && t.rule.report && !t.undecided }

// rehearse decides on everybody as if no rule were in report mode, notes the
// outcome for those whose rule is, and lets their copies pass as they are.
func rehearse(decisions []decision) {
	trial := make([]decision, len(decisions))
	all := make([]*decision, len(decisions))
	copy(trial, decisions)
	for i := range trial {
		all[i] = &trial[i]
	}
	together(all)
	for i := range decisions {
		t := &decisions[i]
		if !t.reported() {
			continue
		}
		decisions[i] = decision{to: t.to, rule: t.rule, secrecy: clear, untouched: true, report: trial[i].outcome()}
	}
}

// outcome says in words what becomes of a recipient.
func (t *decision) outcome() string {
	switch {
	case t.disposition == stripped:
		return "stripped: " + t.reason
	case t.disposition == held:
		return "held: " + t.reason
	case t.disposition == refuse && t.temporary:
		return "deferred: " + t.reason
	case t.disposition == refuse:
		return "refused: " + t.reason
	}
	s := "passed"
	switch encrypt := t.secrecy == secret && !t.untouched; {
	case t.sign && encrypt:
		s = "signed, encrypted"
	case t.sign:
		s = "signed"
	case encrypt:
		s = "encrypted"
	}
	if t.note != "" {
		s += ": " + t.note
	}
	return s
}
