package enforce

import (
	"maps"
	"slices"
	"strings"
)

// Words of rules for what is not named by an address.
const (
	// SenderCopy is the key of Facts.Further for the sender's own certificate.
	SenderCopy = "sender"
	// OfDomain stands for the authorities of a domain (RFC 3183): in identity
	// that of From, in domain_certificate that of the recipient.
	OfDomain = "domain"
)

// Needs is what the decision on a message depends on besides what is known.
type Needs struct {
	// Certificate and Domain are by recipient: whether its certificate is asked
	// for, and whose certificate serves where it has none: "", OfDomain or an
	// address.
	Certificate []bool
	Domain      []string
	// Issue says that an identity of the sender is to be made where there is none,
	// and Issuable that some rule, perhaps one in report mode, would have one made.
	Issue, Issuable bool
	// Identities and Further are the keys of the facts of these names.
	Identities []string
	Further    []string
}

// Needs returns what to find out for Decide. The facts need to be complete but
// for what it names.
func (p *Policy) Needs(f Facts) Needs {
	n := Needs{Certificate: make([]bool, len(f.Recipients)), Domain: make([]string, len(f.Recipients))}
	identities, further := make(map[string]bool), make(map[string]bool)
	for i := range f.Recipients {
		r := p.match(&f, &f.Recipients[i])
		if r == nil || r.untouched(&f) {
			continue
		}
		sign, encrypt := r.wants(&f)
		if sign != never && r.steps.identity != "" {
			identities[r.steps.identity] = true
		}
		if sign != never && r.asksForIdentity(&f) {
			n.Issuable = true
			n.Issue = n.Issue || !r.report
		}
		if encrypt == never {
			continue
		}
		n.Certificate[i], n.Domain[i] = true, r.steps.domainCertificate
		for also := range strings.FieldsSeq(r.steps.also) {
			further[also] = true
		}
		if r.steps.senderCopy {
			further[SenderCopy] = true
		}
	}
	n.Identities = slices.Sorted(maps.Keys(identities))
	n.Further = slices.Sorted(maps.Keys(further))
	return n
}

// asksForIdentity reports whether a rule that signs would have an identity of the
// sender made for this message.
func (r *rule) asksForIdentity(f *Facts) bool {
	return r.steps.issue && r.signs(f) && r.disagreement(f) == ""
}
