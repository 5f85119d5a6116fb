package path

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
	"github.com/smimerelay/smimerelay/smime/address"
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
func (v *Validator) Check(ctx context.Context, cert *x509.Certificate, r certs.Request) certs.Verdict {
	at := r.At
	if at.IsZero() {
		at = v.cfg.Clock()
	}
	verdict := certs.Verdict{ChainState: chainUntrusted, Revocation: revocationUnchecked}
	s := v.newSearch(at, r.Intermediates)
	leaf := v.node(cert)
	path, p := s.find(leaf)
	for i := 0; i < maxIssuerFetches && p != nil && p.Reason == certs.Untrusted && s.fetchIssuers(ctx, path); i++ {
		path, p = s.find(leaf)
	}
	verdict = along(verdict, path)
	if p != nil {
		return conclude(verdict, p)
	}
	verdict.ChainState = chainTrusted
	if p := v.checkUse(cert, r); p != nil {
		return conclude(verdict, p)
	}
	return v.lasting(v.checkPaths(ctx, s, path, r, verdict), at)
}

// mode is what an unknown status means on a path: what its anchor says comes
// before what the request says, and that before the validator's.
func (v *Validator) mode(path []*node, asked certs.RevocationMode) certs.RevocationMode {
	if len(path) == 1 {
		return certs.RevocationOff // an anchor cannot be revoked
	}
	return v.modeOf(path[len(path)-1], asked)
}

func (v *Validator) modeOf(anchor *node, asked certs.RevocationMode) certs.RevocationMode {
	return cmp.Or(v.cfg.AnchorRevocation[anchor.fp], asked, v.cfg.Revocation)
}

// lasting ends a pass that rests on an allowance when that ends.
func (v *Validator) lasting(d certs.Verdict, at time.Time) certs.Verdict {
	if d.Result != certs.Pass || len(v.exceptions) == 0 {
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
func (v *Validator) checkPaths(ctx context.Context, s *search, path []*node, r certs.Request, first certs.Verdict) certs.Verdict {
	verdict := first
	for i := range maxPaths {
		d := along(first, path)
		mode := v.mode(path, r.Revocation)
		if mode == certs.RevocationOff {
			return conclude(d, nil)
		}
		culprit, p := v.checkRevocation(ctx, s, path, r.CRLs, &d)
		if p != nil && p.Reason != certs.Revoked && mode == certs.RevocationPrefer {
			p = nil
		}
		d = conclude(d, p)
		if i == 0 || p == nil || verdict.Reason == certs.NoRevocationInfo && p.Reason == certs.RevocationUnknown {
			verdict = d
		}
		if p == nil {
			break
		}
		if culprit == path[0] {
			if p.Reason == certs.Revoked || len(v.cfg.AnchorRevocation) == 0 {
				break
			}
			culprit = path[len(path)-1] // the mode of another anchor may be another
		}
		s.leave(culprit)
		if path, p = s.find(path[0]); p != nil {
			break
		}
	}
	return verdict
}

// along returns d with the path.
func along(d certs.Verdict, path []*node) certs.Verdict {
	d.Chain = make([]*x509.Certificate, len(path))
	for i, n := range path {
		d.Chain[i] = n.Certificate
	}
	return d
}

// conclude completes d with the problem, or with a pass.
func conclude(d certs.Verdict, p *certs.Problem) certs.Verdict {
	if p == nil {
		d.Result = certs.Pass
		return d
	}
	d.Result, d.Reason, d.Detail = p.Reason.Result(), p.Reason, p.Detail
	return d
}

func (v *Validator) checkUse(cert *x509.Certificate, r certs.Request) *certs.Problem {
	if p := certs.CheckPurpose(cert, r.Purpose); p != nil {
		return p
	}
	if len(r.Addresses) == 0 {
		return nil
	}
	named := certs.Addresses(cert)
	for _, want := range r.Addresses {
		for _, a := range named {
			if !want.IsNull() && a.Equal(want, v.cfg.LocalPart) {
				return nil
			}
		}
	}
	return certs.Refuse(certs.WrongAddress, cert, "it names %s%s, not %s", listed(named), notAddresses(cert), listed(r.Addresses))
}

// notAddresses says which name of cert may have been meant as an address and is
// none, "" if all are.
func notAddresses(cert *x509.Certificate) string {
	for _, m := range pkix.Mailboxes(cert) {
		if _, err := certs.ParseMailbox(m.Text, m.UTF8); err != nil {
			return fmt.Sprintf(" (the name %q is not an address)", printable.Clip(m.Text, maxMailbox))
		}
	}
	return ""
}

// maxMailbox limits an address in an explanation, in octets: strangers write them.
const maxMailbox = 100

// listed writes the first few addresses for an explanation.
func listed(list []address.Address) string {
	const few = 3
	var b strings.Builder
	for i, a := range list[:min(few, len(list))] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", printable.Clip(a.String(), maxMailbox))
	}
	switch n := len(list); {
	case n == 0:
		return "no address"
	case n > few:
		fmt.Fprintf(&b, " and %d more", n-few)
	}
	return b.String()
}
