package service

import (
	"context"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Describe tells people and programs of the authorities and what they publish.
func (a *Authorities) Describe(ctx context.Context) ([]api.Authority, error) {
	var list []api.Authority
	for _, h := range a.All() {
		place := ca.Place{URL: a.config.CA.URL, Name: h.Name}
		s := api.Authority{
			Name: h.Name, Subject: pkix.SubjectString(h.Certificate), SHA256: describe.Fingerprint(h.Certificate),
			NotBefore: h.Certificate.NotBefore.UTC(), NotAfter: h.Certificate.NotAfter.UTC(),
			HasKey: h.Authority != nil, Revoked: h.Revoked, Domains: h.Certificate.PermittedEmailAddresses,
			URLs: []string{place.At(place.Certificate()), place.At(place.CRL())},
		}
		l, err := a.CRL(ctx, h)
		if err != nil {
			return nil, err
		}
		if l != nil {
			s.CRL = &api.CRL{
				Number: l.Number.String(), ThisUpdate: l.ThisUpdate.UTC(), NextUpdate: l.NextUpdate.UTC(),
				Revoked: len(l.RevokedCertificateEntries),
			}
		}
		list = append(list, s)
	}
	return list, nil
}
