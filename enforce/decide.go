package enforce

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Decide says what happens to every recipient. It is total and deterministic,
// and the order of the recipients does not matter.
func Decide(p *Policy, f *Facts) Plan {
	decisions := make([]decision, len(f.Recipients))
	var enforced []*decision
	reports := false
	for i := range f.Recipients {
		decisions[i] = p.decision(f, i)
		if decisions[i].reported() {
			reports = true
		} else {
			enforced = append(enforced, &decisions[i])
		}
	}
	if reports {
		rehearse(decisions)
	}
	together(enforced)
	holdTogether(decisions, !f.Sender.IsNull())
	return assemble(decisions)
}

// together is what the decisions of a message's recipients do to each other.
func together(decisions []*decision) {
	wholeMessage(decisions)
	forbidMixed(decisions)
}

// disposition is what becomes of a recipient.
type disposition int

const (
	send disposition = iota
	refuse
	stripped
	held
)

// secrecy is the form in which a recipient's copy travels, or will travel.
type secrecy int

const (
	undecided secrecy = iota // waits for a lookup
	clear
	secret
)

// decision is the decision on one recipient.
type decision struct {
	to          *RecipientFacts
	rule        *rule // nil if there is no policy
	undecided   bool  // unknown now by which rule, or for which members of a group
	wantSign    want
	wantEncrypt want

	disposition disposition
	secrecy     secrecy
	untouched   bool // passes as it is
	meeting     bool // it is a meeting request, which programs read
	sign        bool
	signer      string        // the name of the identity; "" is the sender's
	usable      []Fingerprint // to encrypt to, with further ones
	temporary   bool          // for refuse
	missing     Missing
	reason      string
	note        string
	report      string
}

// match returns the rule that decides on a recipient, or of which it is unknown
// whether it does.
func (p *Policy) match(f *Facts, to *RecipientFacts) *rule { return p.decided(f, to).rule }

// decision decides on one recipient as if it were alone.
func (p *Policy) decision(f *Facts, i int) decision {
	to := &f.Recipients[i]
	c := p.decided(f, to)
	t := decision{to: to, rule: c.rule, meeting: f.Content.Calendar}
	switch {
	case t.rule == nil:
		// Compile does not make such a policy; refuse rather than guess.
		t.refuse(true, "", "no rule matches this recipient")
	case p.sealed(f):
		t.sealed()
	case c.open != "":
		t.refuse(true, MissingGroup, c.open)
		t.undecided = true
	case t.rule.sealed(f, to):
		t.sealed()
	case t.rule.untouched(f, to):
		t.secrecy, t.untouched, t.note = clear, true, "automatic message, passed unchanged"
	case t.rule.expand && !to.Unnamed && to.Group.State != NoGroup:
		t.group()
	default:
		t.wantSign, t.wantEncrypt = t.rule.wants(f)
		t.explain(f, c)
		t.certificate()
		t.further(f)
		t.identity(f)
	}
	return t
}

func (t *decision) refuse(temporary bool, missing Missing, reason string) {
	t.disposition, t.temporary, t.missing, t.reason = refuse, temporary, missing, reason
}

// remark adds to what is not obvious from the rule.
func (t *decision) remark(note string) {
	if t.note != "" {
		note = t.note + "; " + note
	}
	t.note = note
}

// certificate decides whether the copy is encrypted.
func (t *decision) certificate() {
	if t.wantEncrypt == never {
		t.secrecy = clear
		return
	}
	c := t.to.Certificate.sound()
	if name := t.rule.domainCertificate(t.to); c.State == None && name != "" {
		own := c
		switch c = t.to.Domain.sound(); {
		case c.State == Available:
			t.remark("to the domain certificate, not to one of the recipient: " + own.why("none found"))
		case c.State == None && t.to.Partner != nil:
			c.Reason = own.why("none found") + "; domain certificate: " + c.why("none found")
		}
	}
	switch {
	case c.State == Available:
		t.secrecy, t.usable = secret, c.Usable
	case c.State == Unknown && t.wantEncrypt == prefer && t.rule.plain:
		t.secrecy = clear
		t.remark("not encrypted, could not be looked up: " + c.why("no answer"))
	case c.State == Unknown:
		t.refuse(true, MissingCertificate, fmt.Sprintf("cannot look up the certificate of %s now: %s", t.to.Address, c.why("no answer")))
	case t.wantEncrypt == prefer:
		t.secrecy = clear
		t.remark("not encrypted, no valid certificate: " + c.why("none found"))
	default:
		t.noCertificate(c)
	}
}

// explain remarks on what of the message led to the rule and its treatment, where
// that is not obvious.
func (t *decision) explain(f *Facts, c choice) {
	if c.unsure {
		t.remark("the strictest rule that may match, because a header field or a file name is ambiguous")
	}
	if f.Triggers.Guessed && (t.rule.control != Triggers{}) {
		t.remark("the subject is ambiguous and treated as a request for protection")
	}
	if f.Content.Doubt != "" {
		t.remark(f.Content.Doubt)
	}
	if t.rule.calendar != calendarAsAll && f.Content.CalendarWhy != "" {
		t.remark(f.Content.CalendarWhy)
	}
}

// sealed lets a message pass that is encrypted already, if the recipient can read
// it as far as is known.
func (t *decision) sealed() {
	t.secrecy, t.untouched, t.note = secret, true, "already encrypted, passed unchanged"
	switch {
	case t.to.Reads == None && t.rule.checkReaders:
		t.refuse(false, "", fmt.Sprintf("the message is already encrypted, but not to a known certificate of %s; encrypt it to one of these certificates, or send it without encryption", t.to.Address))
	case t.to.Reads == None:
		t.remark("it is not encrypted to a known certificate of the recipient")
	case t.to.Reads == Unknown && t.rule.checkReaders && t.to.Certificate.State == Unknown:
		t.refuse(true, MissingCertificate, fmt.Sprintf("cannot look up now whether %s can read the already encrypted message: %s", t.to.Address, t.to.Certificate.why("no answer")))
	}
}

// sound distrusts a certificate that is available and not there.
func (c CertificateFacts) sound() CertificateFacts {
	if c.State == Available && len(c.Usable) == 0 {
		return CertificateFacts{Reason: "no usable certificate came with the answer"}
	}
	return c
}

// why returns the reason that the lookup gave, or what stands for it.
func (c CertificateFacts) why(otherwise string) string {
	if c.Reason != "" {
		return c.Reason
	}
	return otherwise
}

// noCertificate applies no_certificate of a rule that requires encryption.
func (t *decision) noCertificate(c CertificateFacts) {
	t.secrecy = secret // it would have been
	t.refuse(false, MissingCertificate, t.to.Partner.With(fmt.Sprintf("no valid S/MIME certificate for %s: %s", t.to.Address, c.why("none found"))))
	switch t.rule.missing {
	case strip:
		t.disposition = stripped
	case hold, ask:
		t.disposition = held
	}
}

// further adds the certificates that the rule names besides the recipient's.
func (t *decision) further(f *Facts) {
	if t.disposition != send || t.secrecy != secret {
		return
	}
	all := t.usable[:len(t.usable):len(t.usable)]
	for also := range strings.FieldsSeq(t.rule.steps.also) {
		c := f.Further[also].sound()
		if c.State != Available {
			// Without its reader by order the message must not leave, and that is
			// for us to mend, not for the sender.
			t.refuse(true, MissingCertificate, fmt.Sprintf("the message must also be encrypted to %s, which is not possible now: %s", also, c.why("no answer")))
			return
		}
		all = append(all, c.Usable...)
	}
	if t.rule.steps.senderCopy {
		if c := f.Further[SenderCopy].sound(); c.State == Available {
			all = append(all, c.Usable...)
		} else {
			t.remark("no copy for the sender: " + c.why("no answer"))
		}
	}
	t.usable = all
}

// identity decides whether the copy is signed. Who is held and may never be
// signed for is refused now: to wait would not help.
func (t *decision) identity(f *Facts) {
	if t.disposition != send && t.disposition != held || t.wantSign == never {
		return
	}
	if f.SignExempt != "" {
		t.remark(f.SignExempt)
		return
	}
	forbidden := f.SignForbidden
	if forbidden == "" {
		forbidden = t.rule.disagreement(f)
	}
	if !t.rule.signs(f) {
		t.ownSignature(f, forbidden)
		return
	}
	id := IdentityFacts{State: f.Identity, Reason: f.IdentityReason, Note: f.IdentityNote}
	if t.signer = t.rule.steps.identity; t.signer != "" {
		id = f.Identities[t.signer]
	}
	if forbidden == "" && t.disposition == held {
		return
	}
	if forbidden == "" && id.State == None && f.Issuable && t.rule.steps.issue {
		id.State = Available
		t.remark("identity issued")
	}
	if forbidden == "" && id.State == None && t.rule.steps.domainIdentity != "" {
		id = t.fallbackIdentity(f, id)
	}
	if f.SignUnknown != "" {
		id = IdentityFacts{Reason: f.SignUnknown}
	}
	if forbidden == "" && id.State == Available {
		t.sign = true
		if id.Note != "" {
			t.remark(id.Note)
		}
		return
	}
	reason := forbidden
	if reason == "" {
		reason = id.Reason
	}
	if f.Content.Report {
		// A report without a signature is better than none, and no one hears of one
		// that is refused (RFC 5321 section 6.1).
		t.remark("report or automatic reply, not signed: " + reason)
		return
	}
	verb := "must"
	if t.wantSign == prefer {
		verb = "should"
	}
	// A key that cannot be asked now is no key that is missing.
	if t.wantSign == require || forbidden == "" && id.State == Unknown {
		t.refuse(forbidden == "", MissingIdentity, "the message "+verb+" be signed, but cannot be: "+reason)
		return
	}
	t.remark("not signed: " + reason)
}

// ownSignature decides on a message that bears the signature of its author
// already: it keeps that, but who may not send as the author may not by that
// either.
func (t *decision) ownSignature(f *Facts, forbidden string) {
	switch {
	case t.wantSign != require || f.Content.Report:
	case forbidden != "":
		t.refuse(false, MissingIdentity, "the message is already signed and may not be sent: "+forbidden)
	case f.SignUnknown != "":
		t.refuse(true, MissingIdentity, "the message is already signed and cannot be sent now: "+f.SignUnknown)
	}
}

// signs reports whether a message that is to be signed gets our signature: what is
// signed already keeps its own.
func (r *rule) signs(f *Facts) bool { return !f.Content.Signed || r.resign }

// fallbackIdentity looks for who signs where the sender, of whom own is known, has no
// identity.
func (t *decision) fallbackIdentity(f *Facts, own IdentityFacts) IdentityFacts {
	name := t.rule.steps.domainIdentity
	id := f.Identities[name]
	if id.State == None {
		return own
	}
	t.signer = name
	if id.State == Available {
		t.remark("signed by the domain_identity of the rule: " + own.Reason)
	}
	return id
}

// disagreement says why envelope sender and From do not agree as the rule asks;
// "" if they do. The null sender matches every author.
func (r *rule) disagreement(f *Facts) string {
	if r.agree == agreeAny || f.Sender.IsNull() {
		return ""
	}
	for _, from := range f.From {
		same := from.Domain() == f.Sender.Domain()
		if r.agree == agreeAddress {
			same = from.Equal(f.Sender, address.IgnoreCase)
		}
		if !same {
			return fmt.Sprintf("the envelope sender %s and From %s do not match", f.Sender, from)
		}
	}
	return ""
}
