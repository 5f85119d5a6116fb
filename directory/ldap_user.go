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

// maxListed is how many entries one user's attributes may name.
const maxListed = 100

// defaultUserAttributes returns where the addresses of a user are.
func defaultUserAttributes() []string { return []string{"mail", "proxyAddresses"} }

// parseUserFilter reads a template that finds a user by name; "" is none.
func parseUserFilter(text string) (*filterTemplate, error) {
	if text == "" {
		return nil, nil
	}
	t, err := parseTemplate(text, "{user}")
	if err != nil {
		return nil, fmt.Errorf("user %w", err)
	}
	return t, nil
}

var errNoUsers = errors.New("no directory can look up users; set user_filter in one")

// AddressesOf implements Groups.
func (d *Directory) AddressesOf(ctx context.Context, user string) ([]address.Address, error) {
	if user == "" {
		return nil, nil
	}
	return d.groups.users.ask(ctx, d, user, func(ctx context.Context) ([]address.Address, error) {
		list, err := d.addressesOf(ctx, user)
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "user addresses could not be looked up", "user", user, "error", err)
		}
		return list, err
	})
}

// addressesOf asks all sources: with one that does not answer it is unknown
// what the user may not.
func (d *Directory) addressesOf(ctx context.Context, user string) ([]address.Address, error) {
	var all []address.Address
	asked := false
	for _, s := range d.sources {
		g := s.groups()
		if g == nil {
			continue
		}
		list, ok, err := g.addressesOf(ctx, user)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(), err)
		}
		asked = asked || ok
		all = append(all, list...)
	}
	if !asked {
		return nil, errNoUsers
	}
	return all, nil
}

// addressesOf implements groupSource. A name that is that of several entries
// could belong to another user: that is an error, not an answer.
func (l *LDAP) addressesOf(ctx context.Context, user string) ([]address.Address, bool, error) {
	if l.userFilter == nil {
		return nil, false, nil
	}
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(s.target.base, ldap.ScopeWholeSubtree, l.userFilter.fill(user),
			append([]string{attrObjectClass, attrControl}, l.userLists...))
	})
	if err != nil {
		return nil, true, err
	}
	entries := slices.DeleteFunc(result.Entries, disabled)
	switch len(entries) {
	case 0:
		return nil, true, nil
	case 1:
	default:
		return nil, true, fmt.Errorf("user %q: %d entries with this name: %s", user, len(entries), strings.Join(names(entries), "; "))
	}
	var list []address.Address
	var named []string
	for _, attribute := range l.userLists {
		for _, value := range texts(entries[0], attribute) {
			if a, ok := listed(value); ok {
				list = append(list, a)
			} else if isName(value) {
				named = append(named, value)
			}
		}
	}
	more, err := l.addressesAt(ctx, named)
	return append(list, more...), true, err
}

// listed reads a value that is an address, also with the type before it that
// Exchange writes; addresses of other types than SMTP are none.
func listed(value string) (address.Address, bool) {
	if kind, rest, ok := strings.Cut(value, ":"); ok && strings.EqualFold(kind, "smtp") {
		value = rest
	}
	a, err := address.Parse(value)
	return a, err == nil
}

// isName reports whether a value is the name of an entry, and not such as the
// X.500 and X.400 addresses that Exchange writes.
func isName(value string) bool {
	attribute, _, ok := strings.Cut(value, "=")
	_, err := ldap.ParseDN(value)
	return ok && err == nil && !strings.ContainsAny(attribute, ":/")
}

// addressesAt returns the addresses of the entries that a user's attribute names,
// such as publicDelegatesBL: the mailboxes whose owners let the user send for
// them.
func (l *LDAP) addressesAt(ctx context.Context, dns []string) ([]address.Address, error) {
	if len(dns) > maxListed {
		return nil, fmt.Errorf("%d entries listed, more than %d", len(dns), maxListed)
	}
	var list []address.Address
	for _, dn := range dns {
		result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
			return s.request(dn, ldap.ScopeBaseObject, everyEntry, defaultUserAttributes())
		})
		switch {
		case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax):
			continue
		case err != nil:
			return nil, fmt.Errorf("entry %q: %w", dn, err)
		}
		for _, e := range result.Entries {
			for _, attribute := range defaultUserAttributes() {
				for _, value := range texts(e, attribute) {
					if a, ok := listed(value); ok {
						list = append(list, a)
					}
				}
			}
		}
	}
	return list, nil
}
