package path

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Bounds of path building. A set of certificates made to keep us busy costs at
// most maxWork, in verifications with RSA-2048; one with RSA-8192 takes 16 times
// as long. Real paths need three or four.
const (
	maxPath  = 10
	maxSteps = 2000
	maxWork  = 200
	maxHints = 300
)

// search builds paths from an end entity to a trust anchor, depth first, the
// most likely issuer first, until one is valid.
type search struct {
	v          *Validator
	at         time.Time
	given      []*x509.Certificate  // with the certificate
	hints      map[string][]*node   // of given, once needed
	avoid      map[fingerprint]bool // found to be revoked
	length     int                  // of the paths looked for now
	cut        bool                 // there may be longer ones
	steps      int
	work       int
	signatures map[[2]*node]*certs.Problem
	exhausted  bool

	longest  []*node        // the longest path tried, for explanations
	best     *certs.Problem // why the best path failed
	anchored bool           // best is about a path that reached an anchor
}

func (v *Validator) newSearch(at time.Time, hints []*x509.Certificate) *search {
	return &search{v: v, at: at, given: hints[:min(len(hints), maxHints)]}
}

// find returns a valid path from leaf, leaf first and anchor last, or why there
// is none with what was built. Short paths are tried before long ones, so that
// a maze of certificates cannot hide a way out that is near.
func (s *search) find(leaf *node) ([]*node, *certs.Problem) {
	s.longest, s.best, s.anchored = []*node{leaf}, nil, false
	if p := s.v.checkBlocked(leaf, s.at); p != nil {
		return s.longest, p
	}
	if s.v.anchored(leaf, s.at) {
		return s.longest, s.v.checkPath(s.longest, s.at)
	}
	if path := s.remembered(leaf); path != nil {
		return path, nil
	}
	s.cut = true
	for s.length = 2; s.length <= maxPath && s.cut && !s.exhausted; s.length++ {
		s.cut = false
		if path := s.extend([]*node{leaf}); path != nil {
			s.v.paths.Put(leaf.fp, path)
			return path, nil
		}
	}
	switch {
	case s.exhausted && !s.anchored:
		return s.longest, certs.Refuse(certs.TooComplex, leaf.Certificate, "too many possible paths")
	case s.best != nil:
		return s.longest, s.best
	}
	last := s.longest[len(s.longest)-1]
	return s.longest, certs.Refuse(certs.Untrusted, leaf.Certificate, "no path to a trust anchor; the issuer %q is unknown", pkix.IssuerLabel(last.Certificate))
}

// remembered returns the path found before, if it is still valid.
func (s *search) remembered(leaf *node) []*node {
	path, ok := s.v.paths.Get(leaf.fp)
	if !ok || s.avoids(path) || s.v.checkPath(path, s.at) != nil {
		return nil
	}
	return path
}

// leave has the paths looked for from now on do without a certificate.
func (s *search) leave(n *node) {
	if s.avoid == nil {
		s.avoid = map[fingerprint]bool{}
	}
	s.avoid[n.fp] = true
}

func (s *search) avoids(path []*node) bool {
	return len(s.avoid) > 0 && slices.ContainsFunc(path, func(n *node) bool { return s.avoid[n.fp] })
}

// extend looks for a valid path of s.length that begins with path.
func (s *search) extend(path []*node) []*node {
	last := path[len(path)-1]
	for _, c := range s.candidates(last) {
		if s.steps++; s.steps > maxSteps {
			s.exhausted = true
		}
		if s.exhausted {
			return nil
		}
		anchor, full := s.v.anchored(c, s.at), len(path)+1 == s.length
		switch {
		case s.avoid[c.fp] || slices.ContainsFunc(path, c.samePerson) || anchor && !full:
			continue
		case full && !anchor:
			s.cut = true // a longer path may lead on from here
			continue
		}
		if p := s.signature(last, c); p != nil {
			s.note(path, p, false)
			continue
		}
		longer := append(path[:len(path):len(path)], c)
		if len(longer) > len(s.longest) && !s.anchored {
			s.longest = longer
		}
		if found := s.finish(longer, anchor); found != nil {
			return found
		}
	}
	return nil
}

// finish validates a path that has reached an anchor, and goes on otherwise.
func (s *search) finish(path []*node, anchor bool) []*node {
	if !anchor {
		return s.extend(path)
	}
	p := s.v.checkPath(path, s.at)
	if p == nil {
		return path
	}
	s.note(path, p, true)
	return nil
}

// known returns what there is to build with, the most trustworthy first.
func (s *search) known() [3]map[string][]*node {
	if s.hints == nil {
		s.hints = bySubject(s.given)
	}
	return [...]map[string][]*node{s.v.anchors, s.v.intermediates, s.hints}
}

// candidates returns the possible issuers of n: anchors first, then ours, then
// what came with the message; within each the most likely first.
func (s *search) candidates(n *node) []*node {
	var list []*node
	for _, known := range s.known() {
		start := len(list)
		list = append(list, known[n.issuer]...)
		slices.SortStableFunc(list[start:], func(a, b *node) int {
			return n.likeliness(b, s.at) - n.likeliness(a, s.at)
		})
	}
	return list
}

// maxIssuerFetches limits how often a path is lengthened from outside.
const maxIssuerFetches = 3

// fetchIssuers adds to the hints who has issued the last certificate of a path
// that leads nowhere. It reports whether there is anything new.
func (s *search) fetchIssuers(ctx context.Context, path []*node) bool {
	if s.v.cfg.ParseIssuers == nil || s.v.cfg.Fetcher == nil || len(path) == 0 {
		return false
	}
	s.known()
	found := false
	for _, c := range s.v.cfg.Fetcher.Issuers(ctx, path[len(path)-1].Certificate, s.v.cfg.ParseIssuers) {
		n := newNode(c)
		if !slices.ContainsFunc(s.hints[n.subject], func(o *node) bool { return o.fp == n.fp }) {
			s.hints[n.subject] = append(s.hints[n.subject], n)
			found = true
		}
	}
	return found
}

// signature checks each pair once.
func (s *search) signature(child, issuer *node) *certs.Problem {
	pair := [2]*node{child, issuer}
	p, done := s.signatures[pair]
	if done {
		return p
	}
	if s.work += pkix.Effort(issuer.key); s.work > maxWork {
		s.exhausted = true
		return certs.Refuse(certs.TooComplex, child.Certificate, "too many possible issuers")
	}
	p = checkSignature(child, issuer)
	if s.signatures == nil {
		s.signatures = map[[2]*node]*certs.Problem{}
	}
	s.signatures[pair] = p
	return p
}

// note keeps the problem that explains best: of a path that reached an anchor
// before all others, and then the first, which was the likeliest.
func (s *search) note(path []*node, p *certs.Problem, anchored bool) {
	if s.best != nil && (s.anchored || !anchored) {
		return
	}
	s.best, s.anchored = p, anchored
	if anchored {
		s.longest = path
	}
}
