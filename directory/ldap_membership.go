package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Ways to find out who is in a group, for LDAPConfig.Nested.
const (
	// nestedAuto asks the server which of the others serves.
	nestedAuto = "auto"
	// nestedChain has Active Directory follow groups in groups. The third way, "expand",
	// reads group after group.
	nestedChain = "chain"
)

// Of Active Directory: what its root entry bears, and the rule by which it
// follows groups in groups ([MS-ADTS] sections 3.1.1.3.4.3.1, 3.1.1.3.4.4.3).
const (
	capabilityAD = "1.2.840.113556.1.4.800"
	inChainRule  = "1.2.840.113556.1.4.1941"
)

// everyEntry is the filter of searches for one entry by its name.
const everyEntry = "(objectClass=*)"

// entriesOf implements groupSource: groups are entries too, and may be in others.
func (l *LDAP) entriesOf(ctx context.Context, addr address.Address) ([]string, error) {
	result, err := l.search(ctx, l.byAddress(addr))
	if err != nil {
		return nil, err
	}
	return names(result.Entries), nil
}

func names(entries []*ldap.Entry) []string {
	var dns []string
	for _, e := range entries {
		dns = append(dns, e.DN)
	}
	return dns
}

// groupsNamed implements groupSource.
func (l *LDAP) groupsNamed(ctx context.Context, group string) ([]string, error) {
	found, err := l.groupEntries(ctx, group)
	return names(found), err
}

// groupEntries finds the groups of an address, or the one of a distinguished
// name.
func (l *LDAP) groupEntries(ctx context.Context, group string, attributes ...string) ([]*ldap.Entry, error) {
	byName := strings.Contains(group, "=")
	request := func(s *server) *ldap.SearchRequest {
		return s.request(group, ldap.ScopeBaseObject, everyEntry, append([]string{attrObjectClass}, attributes...))
	}
	if !byName {
		addr, err := address.Parse(group)
		if err != nil {
			return nil, err
		}
		request = l.byAddress(addr, attributes...)
	}
	result, err := l.search(ctx, request)
	switch {
	case byName && ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, errNoGroup
	case err != nil:
		return nil, err
	}
	// A person may have the address too: here only groups are asked for.
	groups := slices.DeleteFunc(result.Entries, func(e *ldap.Entry) bool { return !hasClass(e, groupClasses...) })
	if len(groups) == 0 {
		return nil, errNoGroup
	}
	return groups, nil
}

// chains implements groupSource.
func (l *LDAP) chains(ctx context.Context) (bool, error) {
	if l.nested != nestedAuto {
		return l.nested == nestedChain, nil
	}
	return l.activeDirectory(ctx)
}

// activeDirectory reports whether the servers are of Active Directory.
func (l *LDAP) activeDirectory(ctx context.Context) (bool, error) {
	if known := l.isAD.Load(); known != nil {
		return *known, nil
	}
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request("", ldap.ScopeBaseObject, everyEntry, []string{"supportedCapabilities"})
	})
	if err != nil {
		return false, fmt.Errorf("root entry: %w", err)
	}
	is := false
	for _, e := range result.Entries {
		is = is || slices.Contains(texts(e, "supportedCapabilities"), capabilityAD)
	}
	l.isAD.Store(&is)
	return is, nil
}

// inChain implements groupSource. To begin the search at the entry makes it
// cheap: the other way round the server would go through all that it has.
func (l *LDAP) inChain(ctx context.Context, entry, group string) (bool, error) {
	filter := fmt.Sprintf("(memberOf:%s:=%s)", inChainRule, ldap.EscapeFilter(group))
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(entry, ldap.ScopeBaseObject, filter, []string{"1.1"})
	})
	if err != nil {
		return false, err
	}
	return len(result.Entries) > 0, nil
}

// everybodyIn implements groupSource.
func (l *LDAP) everybodyIn(ctx context.Context, group string) (map[string]bool, error) {
	level, err := l.groupEntries(ctx, group, memberAttributes()...)
	if errors.Is(err, errNoGroup) {
		return nil, fmt.Errorf("group %q no longer exists", group)
	}
	if err != nil {
		return nil, err
	}
	w := newGroupWalk(l)
	if err := w.all(ctx, level); err != nil {
		return nil, err
	}
	return w.entries, nil
}
