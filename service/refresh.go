package service

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
)

// rootRefresh is how old a root's list becomes while the root's key is at hand,
// and rootWarning how long before its end we ask for the key where it is not.
const (
	rootRefresh = 30 * 24 * time.Hour
	rootWarning = 60 * 24 * time.Hour
)

// watchAuthority keeps what our authority publishes fresh, until ctx ends.
func (s *Service) watchAuthority(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Authority)
	defer tick.Stop()
	logged := ""
	for {
		text := s.refreshAuthority(ctx)
		if text != logged && text != "" && ctx.Err() == nil {
			s.log.Error("the built-in CA needs attention", "error", text)
		}
		logged = text
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refreshAuthority returns what an administrator should know, "" if nothing.
func (s *Service) refreshAuthority(ctx context.Context) string {
	p, release := s.use()
	defer release()
	a := p.authorities
	if a == nil {
		return ""
	}
	note := ""
	for _, h := range a.all {
		made, text := a.refresh(ctx, h)
		if made {
			s.log.Info("CRL created", "authority", h.Certificate.Subject.CommonName)
		}
		if text != "" {
			note = text
		}
		if l, err := a.CRL(ctx, h); err == nil && l != nil {
			s.metrics.CRLEnd.WithLabelValues(h.Name).Set(float64(l.NextUpdate.Unix()))
		}
	}
	written, err := a.WriteFiles(ctx)
	if err != nil {
		note = "cannot publish: " + err.Error()
	}
	for _, path := range written {
		s.log.Info("published", "file", path)
	}
	return note
}

// refresh makes a new list of an authority where it is time to.
func (a *Authorities) refresh(ctx context.Context, h Held) (made bool, note string) {
	l, err := a.CRL(ctx, h)
	if err != nil {
		return false, err.Error()
	}
	every := a.config.CA.CRLRefresh
	if h.Name == ca.Root {
		every = rootRefresh
	}
	now := a.clock()
	unlisted, err := a.unlisted(ctx, h, l)
	if err != nil {
		return false, err.Error()
	}
	switch {
	case l != nil && now.Sub(l.ThisUpdate) < every && now.Before(l.NextUpdate) && !unlisted:
		return false, ""
	case h.Authority != nil:
		if _, err := h.Authority.CRL(ctx); err != nil {
			return false, err.Error()
		}
		return true, ""
	case unlisted:
		return false, "a revocation is not in the CRL of the root; get the root key and run: smimerelay ca crl --root FILE"
	case l == nil || l.NextUpdate.Sub(now) < rootWarning:
		return false, "the CRL of the root is missing or expires soon; get the root key and run: smimerelay ca crl --root FILE"
	}
	return false, ""
}

// unlisted reports whether a certificate that is still valid was revoked and is not in a list:
// the process that revoked it ended, or failed, before it had made another one.
func (a *Authorities) unlisted(ctx context.Context, h Held, l *x509.RevocationList) (bool, error) {
	revoked, err := a.store.Revoked(ctx, h.Certificate.RawSubject, a.clock())
	if err != nil || l == nil {
		return false, err
	}
	listed := make(map[string]bool, len(l.RevokedCertificateEntries))
	for _, e := range l.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	return slices.ContainsFunc(revoked, func(e x509.RevocationListEntry) bool { return !listed[e.SerialNumber.String()] }), nil
}
