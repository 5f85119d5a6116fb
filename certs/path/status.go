package path

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// maxStatusChecks limits how many certificates are asked about for one verdict:
// those of the path, and of the paths of others who sign revocation lists.
const maxStatusChecks = 32

// maxAsking limits how long a verdict may wait for all services together. What
// comes later still helps the next message.
const maxAsking = 20 * time.Second

// statusCheck finds out about the revocation of a path's certificates.
type statusCheck struct {
	v      *Validator
	search *search
	lists  *revocation.Lists
	at     time.Time
	anchor *node
	online bool
	asked  map[fingerprint]revocation.Answer // in progress: Unknown
	// signers are those whose right to sign a list is being looked into.
	signers map[fingerprint]bool
}

// checkRevocation asks for every certificate of the path but the anchor, the
// anchor's side first, and enters the answer in the verdict. It returns, unless
// that is good, the certificate that it is about.
func (v *Validator) checkRevocation(ctx context.Context, s *search, path []*node, crls [][]byte, d *certs.Verdict) (*node, *certs.Problem) {
	c := &statusCheck{
		v: v, search: s, at: s.at,
		lists:  v.lists.WithMessage(crls),
		anchor: path[len(path)-1],
		// The services know about now, and nothing about other times.
		online: v.cfg.Fetcher != nil && v.cfg.Clock().Sub(s.at).Abs() < time.Hour,
		asked:  map[fingerprint]revocation.Answer{},

		signers: map[fingerprint]bool{},
	}
	ctx, cancel := context.WithTimeout(ctx, maxAsking)
	defer cancel()
	n, answer := c.path(ctx, path)
	switch answer.Status {
	case revocation.Good:
		d.Revocation, d.Until = revocationGood, answer.NextUpdate
		return nil, nil
	case revocation.Revoked:
		d.Revocation = revocationRevoked
		return n, certs.Refuse(certs.Revoked, n.Certificate, "%s", answer.Text)
	}
	d.Revocation = revocationUnknown
	if answer.Nowhere {
		return n, certs.Refuse(certs.NoRevocationInfo, n.Certificate, "it names no revocation list and no responder, and no list that is configured is about it; "+
			"set revocation for its anchor in [[trust.anchor]], or name its list in trust.crls")
	}
	return n, certs.Refuse(certs.RevocationUnknown, n.Certificate, "%s", answer.Text)
}

// path returns the worst answer about its certificates, and whose it is: revoked
// before never to be known before unknown before good. If all are good, NextUpdate is when the first of
// them ends.
func (c *statusCheck) path(ctx context.Context, path []*node) (*node, revocation.Answer) {
	worst, whose := revocation.Answer{Status: revocation.Good}, path[0]
	for i := len(path) - 2; i >= 0; i-- {
		answer := c.certificate(ctx, path[i:])
		if answer.Status == revocation.Revoked {
			return path[i], answer
		}
		if answer.Status == revocation.Unknown && (worst.Status == revocation.Good || answer.Nowhere && !worst.Nowhere) {
			worst, whose = answer, path[i]
		}
		if until := answer.NextUpdate; worst.Status == revocation.Good && !until.IsZero() &&
			(worst.NextUpdate.IsZero() || until.Before(worst.NextUpdate)) {
			worst.NextUpdate = until
		}
	}
	return whose, worst
}

// certificate asks about the first certificate of a path.
func (c *statusCheck) certificate(ctx context.Context, path []*node) revocation.Answer {
	n := path[0]
	if answer, done := c.asked[n.fp]; done {
		return answer
	}
	if len(c.asked) >= maxStatusChecks {
		return revocation.Answer{Text: "too many certificates to ask about"}
	}
	c.asked[n.fp] = revocation.Answer{Text: "its CRL is signed by a certificate whose status depends on the same CRL"}
	q := revocation.Question{
		Cert: n.Certificate, Issuer: n.issuer, At: c.at,
		Verify: func(l *revocation.List) bool { return c.verify(ctx, l, path) },
	}
	answer := c.lists.Status(q)
	if answer.Status == revocation.Unknown && c.online {
		answer = c.v.cfg.Fetcher.Online(ctx, q, path[1].Certificate, c.lists, c.v.cfg.AllowSHA1)
	}
	answer.Nowhere = answer.Status == revocation.Unknown && c.v.lists.Nowhere(q)
	c.asked[n.fp] = answer
	return answer
}

// verify reports whether l, about the first certificate of path, was signed by its
// issuer, or by another certificate for the name of the list's issuer that may
// speak for it, has a path to the same trust anchor and is not revoked itself
// (RFC 5280 section 6.3.3 (f) and (g)).
func (c *statusCheck) verify(ctx context.Context, l *revocation.List, path []*node) bool {
	issuer := path[1]
	if issuer.subject == l.Issuer && c.signs(issuer, l) {
		return true
	}
	for _, known := range c.search.known() {
		for _, n := range known[l.Issuer] {
			if n != issuer && c.signs(n, l) && c.mayPublish(ctx, n, path, l) {
				return true
			}
		}
	}
	return false
}

// signs reports whether n has signed l. Strangers can send any number of
// certificates for the name of an authority: what has to be computed is charged
// to the work that the search may do.
func (c *statusCheck) signs(n *node, l *revocation.List) bool {
	if !pkix.AllowsUse(n.Certificate, x509.KeyUsageCRLSign) {
		return false
	}
	if !l.KnownBy(n.Certificate) {
		if c.search.work += pkix.Effort(n.key); c.search.work > maxWork {
			return false
		}
	}
	return l.VerifiedBy(n.Certificate, c.v.cfg.AllowSHA1)
}

// mayPublish reports whether n is trusted by the same anchor as the path, speaks
// for the issuer of its first certificate, and is not revoked. The status of a
// certificate may stand on the list that it signs itself where its issuer says so
// by naming it as the issuer of that list.
func (c *statusCheck) mayPublish(ctx context.Context, n *node, path []*node, l *revocation.List) bool {
	if c.signers[n.fp] {
		return revocation.Delegates(n.Certificate, l)
	}
	own, p := c.search.find(n)
	if p != nil || own[len(own)-1].fp != c.anchor.fp || !speaksFor(own, path, l) {
		return false
	}
	c.signers[n.fp] = true
	_, answer := c.path(ctx, own)
	delete(c.signers, n.fp)
	return answer.Status == revocation.Good
}

// speaksFor keeps apart authorities that happen to have the same name, or took
// it: the signer of a list must be on the path, or certified by one on the path,
// or be named as the publisher of lists by the certificate in question.
func speaksFor(signer, path []*node, l *revocation.List) bool {
	for _, n := range signer[:min(2, len(signer))] {
		if slices.ContainsFunc(path[1:], n.samePerson) {
			return true
		}
	}
	return revocation.Delegates(path[0].Certificate, l)
}
