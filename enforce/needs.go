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
	// OfDomain stands for the authorities of a domain (RFC 3183): in identity and
	// domain_identity that of From, in domain_certificate that of the recipient.
	OfDomain = "domain"
)

// Needs is what the decision on a message depends on besides what is known.
type Needs struct {
	// Certificate and Domain are by recipient: whether its certificate is asked
	// for, and whose certificate serves where it has none: "", OfDomain or an
	// address.
	Certificate []bool
	Domain      []string
	// Profile is by recipient the profile that its copy is encrypted by.
	Profile []string
	// Issue says that an identity of the sender is to be made where there is none,
	// and Issuable that some rule, perhaps one in report mode, would have one made.
	Issue, Issuable bool
	// Groups are by recipient the groups of which it matters whether the
	// recipient is in them, SenderGroups those of the sender; Expand says whether
	// it matters by recipient who is in the group that it may be. A caller that finds
	// out, and puts the members in the place of a group, asks for the needs again.
	Groups       [][]string
	SenderGroups []string
	Expand       []bool
	// Sender says that it matters whether the sender has an identity that signs.
	Sender bool
	// Identities and Further are the keys of the facts of these names.
	Identities []string
	Further    []string
}

// Needs returns what to find out for Decide. The facts need to be complete but
// for what it names.
func (p *Policy) Needs(f *Facts) Needs {
	n := Needs{Certificate: make([]bool, len(f.Recipients)), Domain: make([]string, len(f.Recipients)), Profile: make([]string, len(f.Recipients)), Expand: make([]bool, len(f.Recipients))}
	n.Groups, n.SenderGroups = p.groupNeeds(f)
	identities, further := make(map[string]bool), make(map[string]bool)
	for i := range f.Recipients {
		to := &f.Recipients[i]
		c := p.decided(f, to)
		r := c.rule
		if r == nil || c.open != "" || r.untouched(f, to) {
			// Who can read what is encrypted already is looked up where it matters.
			n.Certificate[i] = r != nil && r.sealed(f, to) && (r.encrypt != never || r.checkReaders)
			continue
		}
		if r.expand && !to.Unnamed && to.Group.State != NoGroup {
			n.Expand[i] = !to.Group.Asked
			continue
		}
		sign, encrypt := r.wants(f)
		n.Sender = n.Sender || sign != never && r.steps.identity == ""
		for _, name := range []string{r.steps.identity, r.steps.domainIdentity} {
			if sign != never && name != "" {
				identities[name] = true
			}
		}
		if sign != never && r.asksForIdentity(f) {
			n.Issuable = true
			n.Issue = n.Issue || !r.report
		}
		if encrypt == never {
			continue
		}
		n.Certificate[i], n.Domain[i], n.Profile[i] = true, r.domainCertificate(to), r.profileFor(to)
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

// groupNeeds goes through the rules that may match as far as one that does, and
// gathers the groups that the facts say nothing of. All are asked for at once:
// which answer makes the next question superfluous is not known before.
func (p *Policy) groupNeeds(f *Facts) (recipients [][]string, sender []string) {
	recipients = make([][]string, len(f.Recipients))
	if p.groupless || p.sealed(f) && f.Direction != Inbound {
		return recipients, nil
	}
	for i := range f.Recipients {
		v := newView(f, &f.Recipients[i])
		p.index.first(p.rules, &v, true, func(r *rule) bool {
			// What a rule takes for granted counts only after a directory was asked.
			matches := r.matches(&v, true)
			if matches == no || r.assuming(&v, MemberUnknown) == NotMember {
				return false
			}
			for j := range r.groups {
				g := &r.groups[j]
				if g.sender {
					sender = append(sender, g.open(&v)...)
				} else {
					recipients[i] = append(recipients[i], g.open(&v)...)
				}
			}
			return matches == yes && r.assuming(&v, MemberUnknown) == Member
		})
		recipients[i] = distinct(recipients[i])
	}
	return recipients, distinct(sender)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
