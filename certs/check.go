package certs

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"github.com/smimerelay/smimerelay/smime/address"
	"strings"
	"time"
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
	leaf := newNode(cert)
	path, p := s.find(leaf)
	for i := 0; i < maxIssuerFetches && p != nil && p.reason == Untrusted && s.fetchIssuers(ctx, path); i++ {
		path, p = s.find(leaf)
	}
	verdict = verdict.along(path)
	if p != nil {
		return verdict.refused(p)
	}
	verdict.ChainState = chainTrusted
	if p := v.checkUse(cert, r); p != nil {
		return verdict.refused(p)
	}
	return v.lasting(v.checkPaths(ctx, s, path, r, verdict), at)
}

// mode is what an unknown status means on a path: what its anchor says comes
// before what the request says, and that before the validator's.
func (v *Validator) mode(path []*node, asked RevocationMode) RevocationMode {
	if len(path) == 1 {
		return RevocationOff // nobody revokes an anchor
	}
	return v.modeOf(path[len(path)-1], asked)
}

func (v *Validator) modeOf(anchor *node, asked RevocationMode) RevocationMode {
	return cmp.Or(v.cfg.AnchorRevocation[anchor.fp], asked, v.cfg.Revocation)
}

// lasting ends a pass that rests on an allowance when that ends.
func (v *Validator) lasting(d Verdict, at time.Time) Verdict {
	if d.Result != Pass || len(v.exceptions) == 0 {
		return d
	}
	anchor := newNode(d.Chain[len(d.Chain)-1])
	if e := v.exception(anchor, at); e != nil && !v.anchorSet[anchor.fp] && !e.Until.IsZero() && (d.Until.IsZero() || e.Until.Before(d.Until)) {
		d.Until = e.Until
	}
	return d
}

// maxPaths limits how many paths of a certificate are asked about.
const maxPaths = 4

// checkPaths asks about the revocation of a path and, where an authority of it is
// revoked or of unknown status, of the next path that does without it; where the
// certificate itself is of unknown status, of one to another anchor. Where one
// path can never be known of and another may be later, the answer may come later.
func (v *Validator) checkPaths(ctx context.Context, s *search, path []*node, r Request, first Verdict) Verdict {
	verdict := first
	for i := range maxPaths {
		d := first.along(path)
		mode := v.mode(path, r.Revocation)
		if mode == RevocationOff {
			return d.refused(nil)
		}
		culprit, p := v.checkRevocation(ctx, s, path, r.CRLs, &d)
		if p != nil && p.reason != Revoked && mode == RevocationPrefer {
			p = nil
		}
		d = d.refused(p)
		if i == 0 || p == nil || verdict.Reason == NoRevocationInfo && p.reason == RevocationUnknown {
			verdict = d
		}
		if p == nil {
			break
		}
		if culprit == path[0] {
			if p.reason == Revoked || len(v.cfg.AnchorRevocation) == 0 {
				break
			}
			culprit = path[len(path)-1] // the mode of another anchor may be another
		}
		s.avoid[culprit.fp] = true
		if path, p = s.find(path[0]); p != nil {
			break
		}
	}
	return verdict
}

// along returns the verdict with the path.
func (d Verdict) along(path []*node) Verdict {
	d.Chain = make([]*x509.Certificate, len(path))
	for i, n := range path {
		d.Chain[i] = n.Certificate
	}
	return d
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
	return refuse(WrongAddress, cert, "it names %s, not %s", listed(named), listed(r.Addresses))
}

// listed writes the first few addresses for an explanation.
func listed(list []address.Address) string {
	const few = 3
	var b strings.Builder
	for i, a := range list[:min(few, len(list))] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", clip(a.String(), maxName))
	}
	switch n := len(list); {
	case n == 0:
		return "nobody"
	case n > few:
		fmt.Fprintf(&b, " and %d more", n-few)
	}
	return b.String()
}
