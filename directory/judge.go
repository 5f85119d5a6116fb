package directory

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/address"
)

// judge has each certificate that may be addr's validated. Those of authorities
// are only hints for building chains.
func (d *Directory) judge(ctx context.Context, addr address.Address, name string, list []*x509.Certificate) []Candidate {
	var leaves, authorities []*x509.Certificate
	for _, c := range list {
		if c.BasicConstraintsValid && c.IsCA {
			authorities = append(authorities, c)
		} else {
			leaves = append(leaves, c)
		}
	}
	judged := make([]Candidate, 0, len(leaves))
	for _, c := range leaves {
		verdict := d.cfg.Checker.Check(ctx, c, certs.Request{
			Purpose:       certs.ForEncryption,
			Addresses:     []address.Address{addr},
			Intermediates: authorities,
		})
		judged = append(judged, Candidate{Certificate: c, Source: name, Verdict: verdict})
	}
	return judged
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
	slices.SortStableFunc(usable, func(a, b *x509.Certificate) int {
		return b.NotBefore.Compare(a.NotBefore)
	})
	return usable
}

// outcome is Usable as soon as there is a usable certificate, and None only when
// every source answered and every verdict is final.
func outcome(r Result) Outcome {
	if len(r.Certificates) > 0 {
		return Usable
	}
	for _, a := range r.Answers {
		if a.Err != nil {
			return Unknown
		}
	}
	for _, c := range r.Candidates {
		if c.Verdict.Result == certs.TempError {
			return Unknown
		}
	}
	return None
}
