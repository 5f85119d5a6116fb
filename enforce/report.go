package enforce

// reported says that the rule only reports what it would do.
func (t *fate) reported() bool { return t.rule != nil && t.rule.report && !t.undecided }

// rehearse decides on everybody as if no rule were in report mode, notes the
// outcome for those whose rule is, and lets their copies pass as they are.
func rehearse(fates []fate) {
	trial := make([]fate, len(fates))
	all := make([]*fate, len(fates))
	copy(trial, fates)
	for i := range trial {
		all[i] = &trial[i]
	}
	together(all)
	for i := range fates {
		t := &fates[i]
		if !t.reported() {
			continue
		}
		fates[i] = fate{to: t.to, rule: t.rule, secrecy: clear, untouched: true, report: trial[i].outcome()}
	}
}

// outcome says in words what becomes of a recipient.
func (t *fate) outcome() string {
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
