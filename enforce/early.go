package enforce

// Early says what is known of a recipient when it is named, before header
// and body are known.
type Early struct {
	// Rule decides on the recipient, whatever the message; "" if that depends
	// on it.
	Rule string
	Line int
	// Lookup says that the decision will, or may, ask for the recipient's
	// certificate.
	Lookup bool
	// Refusable says that the recipient is refused at once if there is no
	// usable certificate.
	Refusable bool
}

// Early returns what is known of the one recipient in f, of which only
// Direction, Client and Sender need to be known.
//
// A null sender is never refused early: its message may be a delivery report,
// which is not touched. Neither is a recipient under "reject-message", or the
// others would get the message all the same. What is encrypted already can only
// be known from the message: a rule with encrypted = "yes" above the one that
// refuses makes it wait.
func (p *Policy) Early(f *Facts) Early {
	v := newView(f, &f.Recipients[0])
	r := p.index.first(p.rules, &v, false, func(r *rule) bool { return r.matches(&v, false) == yes })
	switch {
	case r == nil:
		return Early{}
	case r.late:
		return Early{Lookup: true}
	}
	return Early{
		Rule: r.name, Line: r.line,
		Lookup: r.encrypt != never || r.control.Encrypt || r.calendar == calendarEncrypt,
		Refusable: r.encrypt == require && r.missing == reject && !f.Sender.IsNull() && !r.report &&
			!r.control.Plain && r.calendar != calendarSign && r.calendar != calendarLeave && r.domainCertificate(&f.Recipients[0]) == "",
	}
}

// AtRCPT refuses the one recipient in f while the client waits, where the rules
// can tell already. ok is false when the decision has to wait for the message.
// Only what is known to be missing is refused: an Unknown may have its answer
// by the time the message has arrived.
func (p *Policy) AtRCPT(f *Facts) (r Refusal, ok bool) {
	if !p.Early(f).Refusable || f.Recipients[0].Certificate.State != None {
		return Refusal{}, false
	}
	t := p.decision(f, 0)
	return t.refusal(0), true
}
