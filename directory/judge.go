package directory

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// judge has each certificate that may be addr's validated. Those of authorities
// are hints for building chains, and candidates only where they name the address, or
// where nothing else was agreed: many who make their own certificate make an authority's.
func (d *Directory) judge(ctx context.Context, addr address.Address, name string, found Finding) []Candidate {
	var leaves, authorities []*x509.Certificate
	alone := found.AnyName && !slices.ContainsFunc(found.Certificates, func(c *x509.Certificate) bool { return !isAuthority(c) })
	for _, c := range found.Certificates {
		if isAuthority(c) {
			authorities = append(authorities, c)
		}
		if !isAuthority(c) || alone || d.names(c, addr) {
			leaves = append(leaves, c)
		}
	}
	names := append([]address.Address{addr}, found.Aliases...)
	if found.AnyName {
		names = nil
	}
	check := func(c *x509.Certificate, p certs.Purpose) certs.Verdict {
		return d.cfg.Checker.Check(ctx, c, certs.Request{
			Purpose:       p,
			Addresses:     names,
			Intermediates: authorities,
		})
	}
	judged := make([]Candidate, 0, len(leaves))
	for _, c := range leaves {
		candidate := Candidate{Certificate: c, Address: addr, Source: name, Verdict: check(c, certs.ForEncryption)}
		if p := found.Refused[c]; p != nil {
			candidate.Verdict.Result, candidate.Verdict.Reason, candidate.Verdict.Detail = p.Reason.Result(), p.Reason, p.Detail
		}
		if candidate.Verdict.Result == certs.Pass {
			candidate.Ciphers = claimed(c, found.Claims, check)
		}
		judged = append(judged, candidate)
	}
	return judged
}

// names reports whether a certificate names an address.
func (d *Directory) names(c *x509.Certificate, addr address.Address) bool {
	return slices.ContainsFunc(certs.Addresses(c), func(a address.Address) bool { return a.Equal(addr, d.cfg.LocalPart) })
}

// claimed returns the ciphers that the owner of cert claims to read. A claim
// counts only if its signer's own certificate is good for signing as the same
// address: anyone could sign that another user reads only a weak cipher.
func claimed(cert *x509.Certificate, claims []Claim, check func(*x509.Certificate, certs.Purpose) certs.Verdict) []cms.Cipher {
	for _, claim := range claims {
		own := claim.Preferred == nil && claim.Signer.Equal(cert) ||
			claim.Preferred != nil && claim.Preferred.Matches(cert)
		if own && check(claim.Signer, certs.ForSigning).Result == certs.Pass {
			return claim.Ciphers
		}
	}
	return nil
}

// passing returns the usable certificates among one source's candidates, the
// youngest first: when a key was renewed, the new one is what its owner has at
// hand.
func passing(judged []Candidate) []*x509.Certificate {
	var usable []*x509.Certificate
	for _, c := range judged {
		if c.Verdict.Result == certs.Pass {
			usable = append(usable, c.Certificate)
		}
	}
	slices.SortFunc(usable, certs.ByAge)
	return usable
}

// outcome is Usable as soon as there is a usable certificate, and None only when
// every source answered and every verdict is final.
func outcome(r Result) Outcome {
	if len(r.Certificates) > 0 {
		return Usable
	}
	if r.unanswered() {
		return Unknown
	}
	for _, c := range r.Candidates {
		if c.Verdict.Result == certs.TempError {
			return Unknown
		}
	}
	return None
}

// unanswered reports whether a source that was asked did not answer.
func (r Result) unanswered() bool {
	return slices.ContainsFunc(r.Answers, func(a Answer) bool { return a.Err != nil })
}
