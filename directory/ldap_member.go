package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// memberDNs returns the DNs of a group's members, those too that the server gives
// only in portions.
func (w *groupWalk) memberDNs(ctx context.Context, group *ldap.Entry) ([]string, error) {
	var dns []string
	for _, name := range []string{attrMember, attrUniqueMember} {
		portion, from, err := portionOf(group, name)
		dns = append(dns, portion...)
		for from > 0 && err == nil {
			if len(dns) > w.ldap.members {
				return nil, fmt.Errorf("%w: %d", errManyMembers, w.ldap.members)
			}
			var e *ldap.Entry
			if e, err = w.readRange(ctx, group.DN, name, from); err != nil {
				break
			}
			portion, from, err = portionOf(e, name)
			dns = append(dns, portion...)
		}
		if err != nil {
			return nil, fmt.Errorf("members of %q: %w", group.DN, err)
		}
	}
	for i, dn := range dns {
		dns[i] = withoutUID(dn)
	}
	return dns, nil
}

// portionOf returns the values of an attribute and where those that the server
// kept back begin; 0 when it gave all. Active Directory gives 1,500 at a time as
// "member;range=0-1499" and marks the last portion with "*" ([MS-ADTS] section
// 3.1.1.3.1.3.3).
func portionOf(e *ldap.Entry, name string) (portion []string, next int, err error) {
	for _, a := range e.Attributes {
		if baseName(a.Name) != strings.ToLower(name) || len(a.Values) == 0 {
			continue
		}
		portion = append(portion, a.Values...)
		_, options, _ := strings.Cut(strings.ToLower(a.Name), ";range=")
		_, last, ranged := strings.Cut(options, "-")
		if !ranged || last == "*" {
			continue
		}
		n, err := strconv.Atoi(last)
		if err != nil || n < 0 || next > 0 {
			return nil, 0, fmt.Errorf("range %q: not understood", a.Name)
		}
		next = n + 1
	}
	return portion, next, nil
}

// readRange reads the values of an attribute from one on.
func (w *groupWalk) readRange(ctx context.Context, dn, name string, from int) (*ldap.Entry, error) {
	result, err := w.ldap.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(dn, ldap.ScopeBaseObject, everyEntry,
			[]string{fmt.Sprintf("%s;range=%d-*", name, from)})
	})
	if err != nil {
		return nil, err
	}
	if len(result.Entries) != 1 {
		return nil, errors.New("the group no longer exists")
	}
	if portion, _, err := portionOf(result.Entries[0], name); err != nil || len(portion) == 0 {
		// Without progress this would never end.
		return nil, errors.Join(errors.New("the next range is empty"), err)
	}
	return result.Entries[0], nil
}

// withoutUID cuts the bit string of a NameAndOptionalUID (RFC 4517 section
// 3.3.21): dn#'0101'B.
func withoutUID(dn string) string {
	if i := strings.LastIndex(dn, "#'"); i > 0 && strings.HasSuffix(dn, "'B") {
		return dn[:i]
	}
	return dn
}

// byDN takes the entry dn in. One that does not exist is only noted: references
// to deleted entries are common.
func (w *groupWalk) byDN(ctx context.Context, dn string) error {
	result, err := w.ldap.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(dn, ldap.ScopeBaseObject, everyEntry, memberAttributes())
	})
	switch {
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax):
		w.note("member %q does not exist", dn)
		return nil
	case err != nil:
		return fmt.Errorf("member %q: %w", dn, err)
	case len(result.Entries) == 0:
		// It is there, and could be anybody, or a group.
		return fmt.Errorf("member %q: access denied", dn)
	}
	return w.take(result.Entries[0])
}

func (w *groupWalk) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expansion.Notes = append(w.expansion.Notes, fmt.Sprintf(format, args...))
}

// byUID takes the entries of several user names in.
func (w *groupWalk) byUID(ctx context.Context, uids []string) error {
	var filter strings.Builder
	filter.WriteString("(|")
	for _, uid := range uids {
		filter.WriteString("(uid=" + ldap.EscapeFilter(uid) + ")")
	}
	filter.WriteString(")")
	return w.bySearch(ctx, func(s *server) (string, int, string) {
		return s.target.base, ldap.ScopeWholeSubtree, filter.String()
	})
}

// byURL takes in what the search of an LDAP URL finds. It is made on the server
// that has the group: a URL with a host would send us anywhere.
func (w *groupWalk) byURL(ctx context.Context, text string) error {
	base, scope, filter, err := parseMemberURL(text)
	if err != nil {
		return fmt.Errorf("member url %q: %w", text, err)
	}
	return w.bySearch(ctx, func(*server) (string, int, string) { return base, scope, filter })
}

func parseMemberURL(text string) (base string, scope int, filter string, err error) {
	tail, ok := strings.CutPrefix(text, "ldap:///")
	if !ok {
		return "", 0, "", errors.New("names a server, or is not an LDAP URL")
	}
	parts := append(strings.Split(tail, "?"), "", "", "", "")
	for i, part := range parts {
		if parts[i], err = url.PathUnescape(part); err != nil {
			return "", 0, "", err
		}
	}
	base, filter = parts[0], parts[3]
	if scope, err = parseScope(cmp.Or(parts[2], "base")); err != nil {
		return "", 0, "", err
	}
	filter = cmp.Or(filter, everyEntry)
	_, err = ldap.CompileFilter(filter)
	return base, scope, filter, err
}

// bySearch takes in all that a search finds.
func (w *groupWalk) bySearch(ctx context.Context, where func(*server) (base string, scope int, filter string)) error {
	result, err := w.ldap.search(ctx, func(s *server) *ldap.SearchRequest {
		base, scope, filter := where(s)
		r := s.request(base, scope, filter, memberAttributes())
		r.SizeLimit = w.ldap.members + 1
		return r
	})
	if err != nil {
		return err
	}
	for _, e := range result.Entries {
		if err := w.take(e); err != nil {
			return err
		}
	}
	return nil
}
