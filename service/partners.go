package service

import (
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// agreements compiles the agreements with partners.
func (b *builder) agreements() *enforce.Partners {
	var list []enforce.Partner
	for _, p := range b.config.Partners {
		list = append(list, enforce.Partner{Line: p.Line, Domain: p.Domain, Signers: p.Signers,
			Certificate: domainCertificate(p), Profile: p.Profile, Minimum: p.Minimum, Contact: p.Contact})
	}
	compiled, err := enforce.CompilePartners(list)
	for _, e := range fault.Each(err) {
		p, ok := errors.AsType[*enforce.Problem](e)
		if !ok {
			b.complain("partner", e.Error(), "")
			continue
		}
		at := slices.IndexFunc(b.config.Partners, func(c config.Partner) bool { return c.Line == p.Line })
		if k := key("partner", max(at, 0), p.Key); !b.isKnown(k) {
			text, remedy, _ := strings.Cut(p.Text, "; ")
			b.complain(k, text, remedy)
		}
	}
	return compiled
}

// domainCertificate is whose certificate serves for the people of a partner.
func domainCertificate(p config.Partner) string {
	if p.Certificate == "" && p.File != "" {
		return enforce.OfDomain
	}
	return p.Certificate
}

// agreed are the sources of the certificates that partners gave as files.
func (b *builder) agreed() (sources []directory.SourceConfig) {
	for i, p := range b.config.Partners {
		k := key("partner", i, "domain_certificate_file")
		if p.File == "" || b.isKnown(k) {
			continue
		}
		of, err := address.Parse(gateway.DomainAddress(p.Domain, domainCertificate(p)))
		if err != nil {
			continue // as agreements reports
		}
		source, err := directory.NewPartnerFile(of.Domain(), p.File, of)
		if err != nil {
			b.complain(k, err.Error(), "")
			continue
		}
		b.unreadable(k, source.Files)
		sources = append(sources, directory.SourceConfig{Source: source, Domains: []string{of.Domain()}})
	}
	return sources
}
