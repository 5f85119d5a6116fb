package path

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
)

// anyPolicy is the special policy of RFC 5280 section 4.2.1.4.
const anyPolicy = "2.5.29.32.0"

// policyState is the state of policy processing (RFC 5280 section 6.1, with the
// graph of RFC 9618 in place of the tree, which grows without bound).
type policyState struct {
	// level holds the nodes of the present depth by their valid_policy; nil is
	// the empty graph.
	level map[string]*policyNode
	// The counters of section 6.1.2.
	explicit, mapping, any int
}

type policyNode struct {
	policy   string
	expected []string
	parents  []*policyNode
}

// ParsePolicies reads certificate policies in dotted form, for Config.
func ParsePolicies(list []string) ([]x509.OID, error) {
	var policies []x509.OID
	for _, s := range list {
		oid, err := x509.ParseOID(s)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		policies = append(policies, oid)
	}
	return policies, nil
}

// checkPolicies processes the policies of a path, leaf first and anchor last.
func (v *Validator) checkPolicies(path []*node) *certs.Problem {
	n := len(path) - 1
	if !v.cfg.RequirePolicy && !slices.ContainsFunc(path[:n], requiresPolicy) {
		return checkMappings(path[:n])
	}
	root := &policyNode{policy: anyPolicy, expected: []string{anyPolicy}}
	s := &policyState{
		level:    map[string]*policyNode{anyPolicy: root},
		explicit: initially(v.cfg.RequirePolicy, n),
		mapping:  initially(v.cfg.InhibitPolicyMapping, n),
		any:      initially(v.cfg.InhibitAnyPolicy, n),
	}
	if p := checkMappings(path[:n]); p != nil {
		return p
	}
	for i := n - 1; i >= 0; i-- {
		s.take(path[i], i == 0)
		if s.explicit == 0 && s.level == nil {
			return certs.Refuse(certs.PolicyMissing, path[i].Certificate, "a certificate policy is required, and the path has none in common")
		}
		if i > 0 {
			s.next(path[i])
		}
	}
	if s.last(path[0]); s.explicit == 0 && !s.satisfies(v.cfg.Policies) {
		return certs.Refuse(certs.PolicyMissing, path[0].Certificate, "the path has none of the certificate policies that are required")
	}
	return nil
}

// initially returns the initial value of a counter for a path of n.
func initially(set bool, n int) int {
	if set {
		return 0
	}
	return n + 1
}

func requiresPolicy(n *node) bool {
	return n.RequireExplicitPolicy > 0 || n.RequireExplicitPolicyZero
}

// checkMappings refuses mappings from or to anyPolicy (section 6.1.4 (a)).
func checkMappings(path []*node) *certs.Problem {
	for i, n := range path {
		for _, m := range n.PolicyMappings {
			if i > 0 && (m.IssuerDomainPolicy.String() == anyPolicy || m.SubjectDomainPolicy.String() == anyPolicy) {
				return certs.Refuse(certs.Malformed, n.Certificate, "it maps anyPolicy, which is forbidden")
			}
		}
	}
	return nil
}

// take is section 6.1.3 (d) and (e).
func (s *policyState) take(n *node, final bool) {
	if s.level == nil || len(n.Policies) == 0 {
		s.level = nil
		return
	}
	expecting := map[string][]*policyNode{}
	for _, p := range s.level {
		for _, e := range p.expected {
			expecting[e] = append(expecting[e], p)
		}
	}
	level := map[string]*policyNode{}
	add := func(policy string, parents ...*policyNode) {
		level[policy] = &policyNode{policy: policy, expected: []string{policy}, parents: parents}
	}
	wild := false
	for _, oid := range n.Policies {
		policy := oid.String()
		parents := expecting[policy]
		switch {
		case policy == anyPolicy:
			wild = true
		case len(parents) > 0:
			add(policy, parents...)
		case s.level[anyPolicy] != nil:
			add(policy, s.level[anyPolicy])
		}
	}
	if wild && (s.any > 0 || !final && n.selfIssued()) {
		for policy, parents := range expecting {
			if level[policy] == nil {
				add(policy, parents...)
			}
		}
	}
	s.set(level)
}

func (s *policyState) set(level map[string]*policyNode) {
	if s.level = level; len(level) == 0 {
		s.level = nil
	}
}

// next prepares for the certificate below n (section 6.1.4 (b) and (h) to (j)).
func (s *policyState) next(n *node) {
	if s.level != nil && len(n.PolicyMappings) > 0 {
		s.mapPolicies(n.PolicyMappings)
	}
	if !n.selfIssued() {
		s.explicit = max(s.explicit-1, 0)
		s.mapping = max(s.mapping-1, 0)
		s.any = max(s.any-1, 0)
	}
	lower(&s.explicit, n.RequireExplicitPolicy, n.RequireExplicitPolicyZero)
	lower(&s.mapping, n.InhibitPolicyMapping, n.InhibitPolicyMappingZero)
	lower(&s.any, n.InhibitAnyPolicy, n.InhibitAnyPolicyZero)
}

// lower applies a constraint, which crypto/x509 gives as a number and, because
// absent is 0 too, a flag.
func lower(counter *int, value int, zero bool) {
	if zero || value > 0 {
		*counter = min(*counter, value)
	}
}

func (s *policyState) mapPolicies(mappings []x509.PolicyMapping) {
	to := map[string][]string{}
	for _, m := range mappings {
		from := m.IssuerDomainPolicy.String()
		to[from] = append(to[from], m.SubjectDomainPolicy.String())
	}
	wild := s.level[anyPolicy]
	for from, expected := range to {
		switch p := s.level[from]; {
		case s.mapping == 0:
			delete(s.level, from)
		case p != nil:
			p.expected = expected
		case wild != nil:
			s.level[from] = &policyNode{policy: from, expected: expected, parents: wild.parents}
		}
	}
	s.set(s.level)
}

// last is section 6.1.5 (a) and (b).
func (s *policyState) last(n *node) {
	s.explicit = max(s.explicit-1, 0)
	if n.RequireExplicitPolicyZero {
		s.explicit = 0
	}
}

// satisfies is section 6.1.5 (g): whether the policies that the authorities
// agree on and those that are wanted have one in common.
func (s *policyState) satisfies(wanted []x509.OID) bool {
	if s.level == nil {
		return false
	}
	if len(wanted) == 0 || s.level[anyPolicy] != nil {
		return true
	}
	seen := map[*policyNode]bool{}
	var agreed func(p *policyNode) bool
	agreed = func(p *policyNode) bool {
		if seen[p] || p.policy == anyPolicy {
			return false
		}
		seen[p] = true
		for _, parent := range p.parents {
			if parent.policy == anyPolicy && isWanted(wanted, p.policy) || agreed(parent) {
				return true
			}
		}
		return false
	}
	for _, p := range s.level {
		if agreed(p) {
			return true
		}
	}
	return false
}

func isWanted(wanted []x509.OID, policy string) bool {
	return slices.ContainsFunc(wanted, func(o x509.OID) bool {
		return o.String() == policy || o.String() == anyPolicy
	})
}
