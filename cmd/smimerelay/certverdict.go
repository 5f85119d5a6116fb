package main

import (
	"context"
	"crypto/x509"
	"log/slog"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

// judgeFor returns what judges the certificates of s: the gateway's rules of trust, or with
// --store those of the store alone; nil where the configuration has problems. Revocation
// is known by the CRLs at hand alone: a list must not wait for the network.
func (f *storeFlags) judgeFor(ctx context.Context, a *app, s *store.Store) (judge, func() error, error) {
	if f.Store != "" {
		checker, err := service.StoreChecker(ctx, s, address.IgnoreCase, a.clock)
		return judge{checker}, func() error { return nil }, err
	}
	parts, problems := service.Load(f.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		a.say("warning: verdicts are not known, because the configuration has problems; see smimerelay check --config %s", f.Config)
		return judge{}, func() error { return nil }, nil
	}
	return judge{parts.Validator.Offline()}, parts.Close, nil
}

// judge gives verdicts in one word.
type judge struct{ checker certs.Checker }

// word is "usable" for a certificate that can sign or be encrypted to, else the reason why it
// cannot.
func (j judge) word(ctx context.Context, c *x509.Certificate, chain []*x509.Certificate) string {
	if j.checker == nil {
		return "-"
	}
	s := describe.Found{Certificate: c, Chain: chain}
	s.Judge(ctx, j.checker, certs.RevocationPrefer)
	if v := s.Verdict(); v.Result != certs.Pass {
		return string(v.Reason)
	}
	return "usable"
}
