package service

import (
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
)

// agreements compiles the agreements with partners.
func (b *builder) agreements() *enforce.Partners {
	var list []enforce.Partner
	for _, p := range b.config.Partners {
		list = append(list, enforce.Partner{Line: p.Line, Domain: p.Domain, Signers: p.Signers,
			Certificate: p.Certificate, Profile: p.Profile, Minimum: p.Minimum, Contact: p.Contact})
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
