package path

import (
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/revocation"
)

// Uninformed returns the anchors and intermediates below which no certificate can
// pass, as far as that is known beforehand: revocation must be known, and nothing
// can say it. Where services are asked, those count that name none themselves.
func (v *Validator) Uninformed() []*x509.Certificate {
	var found []*x509.Certificate
	for _, c := range v.cfg.Anchors {
		anchor := newNode(c)
		listed := revocation.Question{Cert: &x509.Certificate{}, Issuer: anchor.subject}
		if c.IsCA && v.cfg.Fetcher == nil && v.lists.Nowhere(listed) && v.modeOf(anchor, "") == certs.RevocationRequire {
			found = append(found, c)
		}
	}
	for _, c := range v.cfg.Intermediates {
		if v.uninformed(newNode(c)) {
			found = append(found, c)
		}
	}
	return found
}

// uninformed reports whether the status of a certificate, or of an authority above
// it, must be known and cannot be.
func (v *Validator) uninformed(n *node) bool {
	path, p := v.newSearch(v.cfg.Clock(), nil).find(n)
	if p != nil || v.mode(path, "") != certs.RevocationRequire {
		return false
	}
	return slices.ContainsFunc(path[:len(path)-1], func(n *node) bool {
		return v.lists.Nowhere(revocation.Question{Cert: n.Certificate, Issuer: n.issuer})
	})
}
