package certs

import (
	"crypto/x509"
	"slices"
	"time"
)

// Bounds of path building. A set of certificates made to keep us busy costs at
// most maxSignatures public-key operations; real paths need three or four.
const (
	maxPath       = 10
	maxSteps      = 1000
	maxSignatures = 100
	maxHints      = 300
)

// search builds paths from an end entity to a trust anchor, depth first, the
// most likely issuer first, until one is valid.
type search struct {
	v          *Validator
	at         time.Time
	hints      map[string][]*node
	steps      int
	signatures map[[2]*node]*problem
	exhausted  bool

	longest  []*node  // the longest path tried, for explanations
	best     *problem // why the best path failed
	anchored bool     // best is about a path that reached an anchor
}

func (v *Validator) newSearch(at time.Time, hints []*x509.Certificate) *search {
	return &search{
		v: v, at: at,
		hints:      bySubject(hints[:min(len(hints), maxHints)]),
		signatures: map[[2]*node]*problem{},
	}
}

// find returns a valid path from leaf, leaf first and anchor last, or why there
// is none with what was built.
func (s *search) find(leaf *node) ([]*node, *problem) {
	s.longest, s.best, s.anchored = nil, nil, false
	if s.v.anchorSet[leaf.fp] {
		path := []*node{leaf}
		return path, s.v.checkPath(path, s.at)
	}
	if path := s.extend([]*node{leaf}); path != nil {
		return path, nil
	}
	switch {
	case s.best != nil:
		return s.longest, s.best
	case s.exhausted:
		return s.longest, refuse(TooComplex, leaf.Certificate, "too many possible paths")
	}
	last := s.longest[len(s.longest)-1]
	return s.longest, refuse(Untrusted, leaf.Certificate, "no path to a trust anchor; the issuer %q is not known", last.Issuer)
}

func (s *search) extend(path []*node) []*node {
	if len(path) > len(s.longest) && !s.anchored {
		s.longest = slices.Clone(path)
	}
	last := path[len(path)-1]
	for _, c := range s.candidates(last) {
		if s.steps++; s.steps > maxSteps || s.exhausted {
			s.exhausted = true
			return nil
		}
		if slices.ContainsFunc(path, c.samePerson) {
			continue
		}
		anchor := s.v.anchorSet[c.fp]
		if p := s.signature(last, c); p != nil {
			s.note(path, p, false)
			continue
		}
		longer := append(path[:len(path):len(path)], c)
		switch {
		case anchor:
			p := s.v.checkPath(longer, s.at)
			if p == nil {
				return longer
			}
			s.note(longer, p, true)
		case len(longer) < maxPath:
			if found := s.extend(longer); found != nil {
				return found
			}
		}
	}
	return nil
}

// candidates returns the possible issuers of n: anchors first, then ours, then
// what came with the message; within each the most likely first.
func (s *search) candidates(n *node) []*node {
	var list []*node
	for _, known := range []map[string][]*node{s.v.anchors, s.v.intermediates, s.hints} {
		start := len(list)
		list = append(list, known[n.issuer]...)
		slices.SortStableFunc(list[start:], func(a, b *node) int {
			return n.likeliness(b, s.at) - n.likeliness(a, s.at)
		})
	}
	return list
}

// signature checks each pair once.
func (s *search) signature(child, issuer *node) *problem {
	pair := [2]*node{child, issuer}
	p, done := s.signatures[pair]
	if done {
		return p
	}
	if len(s.signatures) >= maxSignatures {
		s.exhausted = true
		return refuse(TooComplex, child.Certificate, "too many possible issuers")
	}
	p = checkSignature(child, issuer)
	s.signatures[pair] = p
	return p
}

// note keeps the problem that explains best: of a path that reached an anchor
// before all others, and then the first, which was the likeliest.
func (s *search) note(path []*node, p *problem, anchored bool) {
	if s.best != nil && (s.anchored || !anchored) {
		return
	}
	s.best, s.anchored = p, anchored
	if anchored {
		s.longest = slices.Clone(path)
	}
}
