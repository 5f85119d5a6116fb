package gateway

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// lookups are the questions of one message to the directory: each mailbox once,
// several at once.
type lookups struct {
	g       *Gateway
	order   []address.Address
	results map[string]*directory.Result // by address.Key(ExactCase)
}

func (l *lookups) ask(a address.Address) {
	key := a.Key(address.ExactCase)
	if l.results[key] == nil {
		l.results[key] = &directory.Result{}
		l.order = append(l.order, a)
	}
}

// askFor is ask for an address that a rule gives as text.
func (l *lookups) askFor(s string) {
	if a, err := address.Parse(s); err == nil {
		l.ask(a)
	}
}

// run asks what was not asked yet.
func (l *lookups) run(ctx context.Context) {
	results := make([]*directory.Result, len(l.order))
	for i, a := range l.order {
		results[i] = l.results[a.Key(address.ExactCase)]
	}
	l.g.each(len(results), func(i int) { *results[i] = l.g.lookup(ctx, l.order[i]) })
	l.order = nil
}

// answer returns the facts about the certificates of an address that a profile allows;
// "" is every one. They are unknown if no source was asked.
func (l *lookups) answer(e *evidence, a address.Address, profile string) enforce.CertificateFacts {
	result := l.results[a.Key(address.ExactCase)]
	if result == nil {
		return enforce.CertificateFacts{}
	}
	usable := *result
	if profile != "" {
		usable = l.g.Profiles[profile].usable(usable)
	}
	c := certificateFacts(usable)
	if c.State != enforce.Available {
		if usable.Outcome != result.Outcome {
			c.Reason = l.g.Profiles[profile].refusal(*result)
		}
		return c
	}
	for i, fp := range c.Usable {
		e.certificates[fp] = usable.Certificates[i]
	}
	for _, candidate := range result.Candidates {
		if len(candidate.Ciphers) > 0 {
			e.ciphers[fingerprint(candidate.Certificate)] = candidate.Ciphers
		}
	}
	return c
}

// findCertificates asks the directory for everybody on whom the decision
// depends. Domain certificates are asked for only where there is no personal
// one.
func (g *Gateway) findCertificates(ctx context.Context, e *evidence, needs enforce.Needs) {
	l := lookups{g: g, results: make(map[string]*directory.Result)}
	f := &e.facts
	for i := range f.Recipients {
		if needs.Certificate[i] {
			l.ask(f.Recipients[i].Address)
		}
	}
	for _, name := range needs.Further {
		l.askFor(furtherAddress(f, name))
	}
	l.run(ctx)
	f.Further = make(map[string]enforce.CertificateFacts)
	for _, name := range needs.Further {
		if a, err := address.Parse(furtherAddress(f, name)); err == nil {
			f.Further[name] = l.answer(e, a, "")
		}
	}
	e.results, e.domains = make([]directory.Result, len(f.Recipients)), make(map[int]directory.Result)
	for i := range f.Recipients {
		r := &f.Recipients[i]
		if result := l.results[r.Address.Key(address.ExactCase)]; needs.Certificate[i] && result != nil {
			e.results[i], r.Certificate = *result, l.answer(e, r.Address, needs.Profile[i])
			r.Reads = e.reads(result)
		}
		if r.Certificate.State == enforce.None && needs.Domain[i] != "" {
			l.askFor(DomainAddress(r.Address.Domain(), needs.Domain[i]))
		}
	}
	l.run(ctx)
	for i := range f.Recipients {
		r := &f.Recipients[i]
		if a, err := address.Parse(DomainAddress(r.Address.Domain(), needs.Domain[i])); err == nil && needs.Domain[i] != "" {
			r.Domain, r.DomainOf = l.answer(e, a, needs.Profile[i]), needs.Domain[i]
			if result := l.results[a.Key(address.ExactCase)]; result != nil {
				e.domains[i] = *result
			}
		}
	}
}

// reads reports whether a message that is encrypted already is encrypted to one of
// the certificates that are known for a recipient, whatever they are worth today.
func (e *evidence) reads(result *directory.Result) enforce.Availability {
	known := slices.Clone(result.Certificates)
	for _, c := range result.Candidates {
		known = append(known, c.Certificate)
	}
	switch {
	case slices.ContainsFunc(known, func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(e.kind.Readers, func(id cms.ID) bool { return id.Matches(cert) })
	}):
		return enforce.Available
	case len(known) > 0 && result.Outcome != directory.Unknown:
		return enforce.None
	}
	return enforce.Unknown
}

// furtherAddress is whose certificate a key of Facts.Further stands for.
func furtherAddress(f *enforce.Facts, name string) string {
	if name == enforce.SenderCopy && len(f.From) == 1 {
		return f.From[0].String()
	}
	return name
}

// DomainAddress is whose certificate serves for recipients in a domain who have none, where
// a rule or an agreement has name as domain_certificate (RFC 3183 section 4.1).
func DomainAddress(domain, name string) string {
	if name == enforce.OfDomain {
		return domainReceiver + "@" + domain
	}
	return name
}
