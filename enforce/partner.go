package enforce

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Partner is an agreement with another domain, as written.
type Partner struct {
	Line int // where it stands in its file; 0 if unknown
	// Domain is the mail domain of the partner.
	Domain string
	// Signers are the certificates that sign for all authors of the domain (RFC 3183): by
	// an address in the domain, by "dns:" with a host name in it, or by "sha256:" with a
	// fingerprint.
	Signers []string
	// Certificate is whose certificate serves for recipients in the domain who have none,
	// where a rule names no other: an address in the domain, or OfDomain; "" is none.
	Certificate string
	// Profile is by which recipients in the domain get mail where the rule names none but
	// DefaultProfile, Minimum the one whose minimum requirements mail of authors in the
	// domain must meet, besides those of the rules; "" is none.
	Profile, Minimum string
	// Contact is who answers for the partner, for those who ask why.
	Contact string
}

// Partners is a compiled list. A nil one has no agreements.
type Partners struct {
	byDomain map[string]agreed // by A-label
}

// agreed is a compiled Partner.
type agreed struct {
	Partner
	signers []domainSigner
}

// domainSigner is a signer of a domain with the name by which it is one, which is ASCII
// but for a local part.
type domainSigner struct {
	name    string
	address address.Address // null where the name is none
	matches func(SignerFacts) bool
}

// SignerFacts are what a certificate says of whom it belongs to.
type SignerFacts struct {
	Addresses   []address.Address
	Hosts       []string // dNSNames
	Fingerprint Fingerprint
}

// hostPrefix marks a signer by a dNSName.
const hostPrefix = "dns:"

// CompilePartners compiles agreements. The error joins all problems, each a *Problem.
func CompilePartners(list []Partner) (*Partners, error) {
	c := compiler{}
	p := &Partners{byDomain: make(map[string]agreed)}
	for i := range list {
		c.partner(p, &list[i])
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return p, nil
}

func (c *compiler) partner(p *Partners, in *Partner) {
	c.at = Problem{Table: "partner", Line: in.Line}
	domain, err := domainASCII(in.Domain)
	if err != nil {
		c.problem("domain", "%q is not a domain; write one such as example.net", in.Domain)
		return
	}
	if _, ok := p.byDomain[domain]; ok {
		c.problem("domain", "%q has a table already; put what was agreed there", in.Domain)
		return
	}
	if len(in.Signers) == 0 && in.Certificate+in.Profile+in.Minimum+in.Contact == "" {
		c.problem("", "says nothing; set signers, domain_certificate, profile, minimum or contact")
	}
	a := agreed{Partner: *in}
	a.Domain = domain
	a.Certificate = c.person("domain_certificate", in.Certificate, "")
	if of, err := address.Parse(a.Certificate); err == nil && of.Domain() != domain {
		c.problem("domain_certificate", "%q is not in the domain of the partner; to encrypt to another, write domain_certificate in a rule", in.Certificate)
	}
	if strings.ContainsFunc(in.Contact, unicode.IsControl) || !utf8.ValidString(in.Contact) || len(in.Contact) > maxContact {
		c.problem("contact", "must be one line of at most %d octets", maxContact)
	}
	for _, s := range in.Signers {
		signer, err := signerOf(domain, s)
		if err != nil {
			c.problem("signers", "%q: %v", s, err)
			continue
		}
		a.signers = append(a.signers, signer)
	}
	p.byDomain[domain] = a
}

// maxContact keeps replies short in which it is named.
const maxContact = 120

// Of returns what is agreed with the domain of an address; nil if nothing is.
func (p *Partners) Of(a address.Address) *Partner {
	if p == nil || a.IsNull() {
		return nil
	}
	found, ok := p.byDomain[a.Domain()]
	if !ok {
		return nil
	}
	partner := found.Partner // with most there is no agreement, and nothing is allocated
	return &partner
}

// Demands returns the minimum requirements that are agreed for mail of authors.
func (p *Partners) Demands(authors []address.Address) []Demand {
	var all []Demand
	for _, a := range authors {
		found := p.Of(a)
		if found == nil || found.Minimum == "" {
			continue
		}
		if d := (Demand{Rule: "partner " + found.Domain, Line: found.Line, Profile: found.Minimum}); !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// Profiles returns the names of the profiles that are agreed, each once.
func (p *Partners) Profiles() []string {
	var names []string
	if p != nil {
		for _, a := range p.byDomain {
			names = append(names, a.Profile, a.Minimum)
		}
	}
	return distinct(slices.DeleteFunc(names, func(s string) bool { return s == "" }))
}

// contact is what is added to a reason; "" if no one is named.
func (p *Partner) contact() string {
	if p == nil || p.Contact == "" {
		return ""
	}
	return "; contact for " + p.Domain + ": " + p.Contact
}

// With returns a reason with the contact of the partner.
func (p *Partner) With(reason string) string { return reason + p.contact() }

var errForeignSigner = errors.New("is not in the domain of the partner; name the certificate by sha256: and its fingerprint")

// signerOf compiles a signer of a domain. A name counts only in the domain or below
// it: any authority may certify a stranger's.
func signerOf(domain, s string) (signer domainSigner, err error) {
	within := func(name string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
	if strings.HasPrefix(s, fingerprintPrefix) {
		match, err := signerPattern(s)
		return domainSigner{name: s, matches: func(f SignerFacts) bool { return match(FoundSigner{Fingerprint: f.Fingerprint}) }}, err
	}
	if host, ok := strings.CutPrefix(s, hostPrefix); ok {
		host, err := domainASCII(host)
		switch {
		case err != nil:
			return signer, errors.New("is not a host name")
		case !within(host):
			return signer, errForeignSigner
		}
		return domainSigner{name: hostPrefix + host, matches: func(f SignerFacts) bool {
			return slices.ContainsFunc(f.Hosts, func(h string) bool { return strings.EqualFold(strings.TrimSuffix(h, "."), host) })
		}}, nil
	}
	a, err := address.Parse(s)
	switch {
	case err != nil:
		return signer, errors.New(`is neither an address, "dns:" with a host name nor "sha256:" with a fingerprint; write one of them`)
	case !within(a.Domain()):
		return signer, errForeignSigner
	}
	local := a.String()[:strings.LastIndexByte(a.String(), '@')]
	return domainSigner{name: local + "@" + a.Domain(), address: a, matches: func(f SignerFacts) bool {
		return slices.ContainsFunc(f.Addresses, func(b address.Address) bool { return a.Equal(b, address.IgnoreCase) })
	}}, nil
}

// SignerAddresses returns the addresses whose certificates sign for the domain of an
// author.
func (p *Partners) SignerAddresses(author address.Address) (all []address.Address) {
	if p == nil || author.IsNull() {
		return nil
	}
	for _, s := range p.byDomain[author.Domain()].signers {
		if !s.address.IsNull() {
			all = append(all, s.address)
		}
	}
	return all
}

// Signer returns by what name a certificate signs for the domain of an author; "" if
// it does not.
func (p *Partners) Signer(author address.Address, f SignerFacts) string {
	if p == nil || author.IsNull() {
		return ""
	}
	for _, s := range p.byDomain[author.Domain()].signers {
		if s.matches(f) {
			return s.name
		}
	}
	return ""
}
