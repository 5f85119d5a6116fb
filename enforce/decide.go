package enforce

import "fmt"

// Decide says what happens to every recipient. It is total and deterministic,
// and the order of the recipients does not matter.
func Decide(p *Policy, f Facts) Plan {
	fates := make([]fate, len(f.Recipients))
	for i := range f.Recipients {
		fates[i] = p.fate(&f, i)
	}
	if !f.Encrypted && !f.Exempt {
		wholeMessage(fates)
		unmix(fates)
	}
	return assemble(&f, fates)
}

// disposition is what becomes of a recipient.
type disposition int

const (
	send disposition = iota
	refuse
	stripped
)

// secrecy is the form in which a recipient's copy travels, or will travel.
type secrecy int

const (
	undecided secrecy = iota // waits for a lookup
	clear
	secret
)

// fate is the decision on one recipient.
type fate struct {
	to          *RecipientFacts
	rule        *rule // nil if there is no policy
	disposition disposition
	secrecy     secrecy
	sign        bool
	temporary   bool // for refuse
	missing     string
	reason      string
	note        string
}

// match returns the first rule that matches a recipient.
func (p *Policy) match(f *Facts, to *RecipientFacts) *rule {
	if p == nil {
		return nil
	}
	for _, r := range p.rules {
		if r.matches(f, to) {
			return r
		}
	}
	return nil
}

// fate decides on one recipient as if it were alone.
func (p *Policy) fate(f *Facts, i int) fate {
	to := &f.Recipients[i]
	t := fate{to: to, rule: p.match(f, to)}
	switch {
	case t.rule == nil:
		// Compile does not make such a policy; refuse rather than guess.
		t.refuse(true, "", "no rule decides on this recipient")
	case f.Encrypted:
		t.secrecy, t.note = secret, "encrypted already, not touched"
	case f.Exempt:
		t.secrecy, t.note = clear, "automatic message, not touched"
	default:
		t.certificate()
		t.identity(f)
	}
	return t
}

func (t *fate) refuse(temporary bool, missing, reason string) {
	t.disposition, t.temporary, t.missing, t.reason = refuse, temporary, missing, reason
}

// certificate decides whether the copy is encrypted.
func (t *fate) certificate() {
	state := t.to.Certificate
	if state == Available && len(t.to.Usable) == 0 {
		state = Unknown // whoever says so has made a mistake
	}
	switch {
	case t.rule.encrypt == never:
		t.secrecy = clear
	case state == Available:
		t.secrecy = secret
	case state == Unknown && t.rule.plain:
		t.secrecy, t.note = clear, "could not be looked up: "+t.to.Reason
	case state == Unknown:
		t.refuse(true, MissingCertificate, fmt.Sprintf("cannot look up the certificate of %s now: %s", t.to.Address, t.why("no answer")))
	case t.rule.encrypt == prefer:
		t.secrecy, t.note = clear, "no valid certificate: "+t.why("none found")
	default:
		t.noCertificate()
	}
}

// noCertificate applies no_certificate of a rule that requires encryption.
func (t *fate) noCertificate() {
	t.secrecy = secret // it would have been
	t.refuse(false, MissingCertificate, fmt.Sprintf("no valid S/MIME certificate for %s: %s", t.to.Address, t.why("none found")))
	if t.rule.missing == strip {
		t.disposition = stripped
	}
}

// why returns the reason that the lookup gave, or what stands for it.
func (t *fate) why(otherwise string) string {
	if t.to.Reason != "" {
		return t.to.Reason
	}
	return otherwise
}

// identity decides whether the copy is signed.
func (t *fate) identity(f *Facts) {
	if t.disposition != send || t.rule.sign == never || f.Signed {
		return
	}
	if f.SignForbidden == "" && f.Identity == Available {
		t.sign = true
		return
	}
	reason := f.SignForbidden
	if reason == "" {
		reason = f.IdentityReason
	}
	if t.rule.sign == require {
		t.refuse(f.SignForbidden == "", MissingIdentity, "the message must be signed and cannot be: "+reason)
		return
	}
	t.note = "not signed: " + reason
}
