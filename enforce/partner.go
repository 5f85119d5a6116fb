package enforce

import (
	"errors"
	"slices"
	"strings"

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
}

// Partners is a compiled list. A nil one has no agreements.
type Partners struct {
	byDomain map[string][]domainSigner // by A-label
}

// domainSigner is a signer of a domain with the name by which it is one.
type domainSigner struct {
	name    string
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
	p := &Partners{byDomain: make(map[string][]domainSigner)}
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
		c.problem("domain", "%q is not a domain", in.Domain)
		return
	}
	if _, ok := p.byDomain[domain]; ok {
		c.problem("domain", "%q has a table already; put its signers there", in.Domain)
		return
	}
	if len(in.Signers) == 0 {
		c.problem("signers", `is empty; write an address of the partner's gateway, "dns:" and a host name, or "sha256:" and a fingerprint`)
	}
	p.byDomain[domain] = []domainSigner{}
	for _, s := range in.Signers {
		matches, err := signerOf(domain, s)
		if err != nil {
			c.problem("signers", "%q: %v", s, err)
			continue
		}
		p.byDomain[domain] = append(p.byDomain[domain], domainSigner{s, matches})
	}
}

var errForeignSigner = errors.New("is not in the domain of the partner; name the certificate by sha256: and its fingerprint")

// signerOf compiles a signer of a domain. A name counts only in the domain or below
// it: any authority may certify a stranger's.
func signerOf(domain, s string) (func(SignerFacts) bool, error) {
	within := func(name string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
	if strings.HasPrefix(s, fingerprintPrefix) {
		match, err := signerPattern(s)
		if err != nil {
			return nil, err
		}
		return func(f SignerFacts) bool { return match(FoundSigner{Fingerprint: f.Fingerprint}) }, nil
	}
	if host, ok := strings.CutPrefix(s, hostPrefix); ok {
		host, err := domainASCII(host)
		switch {
		case err != nil:
			return nil, errors.New("is not a host name")
		case !within(host):
			return nil, errForeignSigner
		}
		return func(f SignerFacts) bool {
			return slices.ContainsFunc(f.Hosts, func(h string) bool { return strings.EqualFold(strings.TrimSuffix(h, "."), host) })
		}, nil
	}
	a, err := address.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New(`is neither an address, "dns:" with a host name nor "sha256:" with a fingerprint`)
	case !within(a.Domain()):
		return nil, errForeignSigner
	}
	return func(f SignerFacts) bool {
		return slices.ContainsFunc(f.Addresses, func(b address.Address) bool { return a.Equal(b, address.IgnoreCase) })
	}, nil
}

// Signer returns by what name a certificate signs for the domain of an author; "" if
// it does not.
func (p *Partners) Signer(author address.Address, f SignerFacts) string {
	if p == nil || author.IsNull() {
		return ""
	}
	for _, s := range p.byDomain[author.Domain()] {
		if s.matches(f) {
			return s.name
		}
	}
	return ""
}
