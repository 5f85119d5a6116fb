package directory

import (
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Probe asks each source once, and none of its answers is remembered: about sample, or
// about postmaster of the first of its domains where it is not asked about sample's.
// The answers are in the order of the sources.
func (d *Directory) Probe(ctx context.Context, sample address.Address) []Answer {
	var all []Answer
	for _, s := range d.sources {
		addr := sample
		if !s.domains.match(addr.Domain()) {
			addr = s.domains.sample()
		}
		start := d.cfg.Clock()
		ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		found, err := s.Find(ctx, addr)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		elapsed := d.cfg.Clock().Sub(start)
		empty := ""
		if l, ok := s.Source.(*LDAP); ok && err == nil && len(found.Certificates) == 0 {
			empty = l.emptyBase(ctx)
		}
		cancel()
		all = append(all, Answer{Source: s.Name(), Found: len(found.Certificates), Err: err, Elapsed: elapsed, Notes: found.Notes, Empty: empty})
	}
	return all
}

// emptyBase is the base of the directory if no entry below it could ever be found: none has what
// the filter asks for, for any recipient. It is "" where there is one, and where the server
// does not say.
func (l *LDAP) emptyBase(ctx context.Context) string {
	base := ""
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		filter := l.filter
		if s.target.filter != nil {
			filter = s.target.filter
		}
		base = s.target.base
		r := s.request(base, s.target.scope, filter.anyone(), []string{"1.1"})
		r.SizeLimit = 1
		return r
	})
	if err != nil || len(result.Entries)+len(result.Referrals) > 0 {
		return ""
	}
	return base
}
