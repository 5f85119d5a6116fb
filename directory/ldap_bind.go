package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var errNoUserFilter = errors.New("no user can be found; set user_filter")

// CheckPassword reports whether a password is that of the user whom the user filter finds,
// by a bind as the entry of the user, on a connection of its own (RFC 4513 section 5.1.3).
// An unknown user takes a bind as well. An error means that it could not be found out:
// also if several entries have the name.
//
// A directory takes many spellings for one name, such as other case, blanks and wide
// letters. Rules compare what the client has said: names that are not of printable US-ASCII
// without blanks are no names.
func (l *LDAP) CheckPassword(ctx context.Context, user, password string) (bool, error) {
	if l.userFilter == nil {
		return false, errNoUserFilter
	}
	if password == "" || user == "" || strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r > '~' || r == '*' || r == '?' }) {
		// Without a password the bind would be an anonymous one that looks like success
		// (RFC 4513 section 5.1.2).
		return false, nil
	}
	var at *server // that answered
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		at = s
		return s.request(s.target.base, ldap.ScopeWholeSubtree, l.userFilter.fill(user), []string{attrObjectClass, attrControl})
	})
	if err != nil {
		return false, err
	}
	entries := slices.DeleteFunc(result.Entries, disabled)
	dn := "cn=unknown"
	switch len(entries) {
	case 0:
	case 1:
		dn = entries[0].DN
	default:
		return false, fmt.Errorf("user %q: %d entries with this name: %s", user, len(entries), strings.Join(names(entries), "; "))
	}
	right, err := at.binds(ctx, dn, password)
	return right && len(entries) == 1, err
}

// binds reports whether a server accepts a password for an entry.
func (s *server) binds(ctx context.Context, dn, password string) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %s", s.timeout))
	defer cancel()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return false, errors.Join(errBusy, context.Cause(ctx))
	}
	d := *s.dialer
	d.external, d.bindDN, d.password = false, dn, password
	c, err := d.dial(ctx, s.target)
	if err == nil {
		c.close()
		return true, nil
	}
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication,
		ldap.LDAPResultConstraintViolation) {
		return false, nil
	}
	return false, err
}
