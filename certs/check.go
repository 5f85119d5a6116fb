package certs

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
)

// Words of a Verdict.
const (
	chainTrusted   = "trusted"
	chainUntrusted = "untrusted"
	chainUnchecked = "unchecked"

	revocationGood      = "good"
	revocationRevoked   = "revoked"
	revocationUnknown   = "unknown"
	revocationUnchecked = "unchecked"
)

// Check judges cert: first the path, then its purpose and address, and last,
// because it may have to ask others, revocation.
func (v *Validator) Check(ctx context.Context, cert *x509.Certificate, r Request) Verdict {
	at := r.At
	if at.IsZero() {
		at = v.cfg.Clock()
	}
	verdict := Verdict{ChainState: chainUntrusted, Revocation: revocationUnchecked}
	s := v.newSearch(at, r.Intermediates)
	path, p := s.find(newNode(cert))
	for _, n := range path {
		verdict.Chain = append(verdict.Chain, n.Certificate)
	}
	if p != nil {
		return verdict.refused(p)
	}
	verdict.ChainState = chainTrusted
	if p := v.checkUse(cert, r); p != nil {
		return verdict.refused(p)
	}
	mode := r.Revocation
	if mode == "" {
		mode = v.cfg.Revocation
	}
	if mode == RevocationOff || len(path) == 1 {
		return verdict.refused(nil)
	}
	verdict.Revocation, p = v.checkRevocation(ctx, s, path, r.CRLs)
	if p != nil && p.reason == RevocationUnknown && mode == RevocationPrefer {
		p = nil
	}
	return verdict.refused(p)
}

// refused completes the verdict with the problem, or with a pass.
func (d Verdict) refused(p *problem) Verdict {
	if p == nil {
		d.Result = Pass
		return d
	}
	d.Result, d.Reason, d.Detail = p.reason.result(), p.reason, p.text
	return d
}

func (v *Validator) checkUse(cert *x509.Certificate, r Request) *problem {
	if p := checkPurpose(cert, r.Purpose); p != nil {
		return p
	}
	if len(r.Addresses) == 0 {
		return nil
	}
	named := Addresses(cert)
	for _, want := range r.Addresses {
		for _, a := range named {
			if !want.IsNull() && a.Equal(want, v.cfg.LocalPart) {
				return nil
			}
		}
	}
	return refuse(WrongAddress, cert, "it names %q, not %q", named, r.Addresses)
}

// understood reports critical extensions that this package processes though
// crypto/x509 does not.
func understood(id asn1.ObjectIdentifier) bool {
	return id.Equal(oidNameConstraints) || id.Equal(oidSubjectAltName)
}
