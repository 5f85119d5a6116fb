package directory

import (
	"context"
	"crypto/x509"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// attrMail is where the main address of an entry is (RFC 4524 section 2.16). It
// counts beside the configured attributes.
const attrMail = "mail"

// isMail reports whether an attribute is mail, in whatever spelling.
func isMail(attribute string) bool { return strings.EqualFold(attribute, attrMail) }

// keystring is the name of an attribute (RFC 4512 section 1.4).
var keystring = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// aliasFilter finds all entries that list an address in one of the attributes. It is
// not the configured filter: an entry that this one leaves out makes an alias ambiguous
// too.
func aliasFilter(attributes []string) (*filterTemplate, error) {
	if len(attributes) == 0 {
		return nil, nil
	}
	var b strings.Builder
	for _, name := range attributes {
		if !keystring.MatchString(name) {
			return nil, fmt.Errorf("aliases: %q is not the name of an attribute; write one such as \"proxyAddresses\"", name)
		}
		fmt.Fprintf(&b, "(%[1]s={addr})(%[1]s=smtp:{addr})", name)
	}
	return parseFilter("(|" + b.String() + ")")
}

// owner is the one entry that an address belongs to.
type owner struct {
	dn        string
	addresses []address.Address
}

// has reports whether the entry lists an address. Case does not count: neither does
// it for the server.
func (o owner) has(addr address.Address) bool {
	return slices.ContainsFunc(o.addresses, func(a address.Address) bool { return a.Equal(addr, address.IgnoreCase) })
}

// ownerOf finds the entry that lists an address; ok is false where there is none,
// where it is a group, a contact or disabled, and where several entries list the
// address, which is then ambiguous.
func (l *LDAP) ownerOf(ctx context.Context, addr address.Address) (o owner, ok bool, err error) {
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(s.target.base, s.target.scope, l.aliasFilter.expand(addr),
			append([]string{attrObjectClass, attrControl}, l.aliases...))
	})
	switch {
	case result != nil && len(result.Entries) > 1:
		return owner{}, false, nil
	case err != nil:
		return owner{}, false, err
	case len(result.Entries) == 0:
		return owner{}, false, nil
	}
	e := result.Entries[0]
	if disabled(e) || hasClass(e, "contact") || hasClass(e, groupClasses...) {
		return owner{}, false, nil
	}
	o.dn = normalDN(e.DN)
	for _, attribute := range l.aliases {
		for _, value := range texts(e, attribute) {
			if a, ok := listed(value); ok {
				o.addresses = append(o.addresses, a)
			}
		}
	}
	return o, o.has(addr), nil
}

// sameOwner implements groupSource.
func (l *LDAP) sameOwner(ctx context.Context, a, b address.Address) (bool, error) {
	if l.aliasFilter == nil {
		return false, nil
	}
	of, ok, err := l.ownerOf(ctx, a)
	if err != nil || !ok || !of.has(b) {
		return false, err
	}
	other, ok, err := l.ownerOf(ctx, b)
	return ok && other.dn == of.dn, err
}

// aliasesIn returns which of the addresses in certificates found for addr are other
// addresses of its owner.
func (l *LDAP) aliasesIn(ctx context.Context, addr address.Address, found []*x509.Certificate) ([]address.Address, error) {
	if l.aliasFilter == nil {
		return nil, nil
	}
	var list []address.Address
	for _, c := range found {
		for _, named := range certs.Addresses(c) {
			same := func(a address.Address) bool { return a.Equal(named, address.IgnoreCase) }
			if same(addr) || slices.ContainsFunc(list, same) {
				continue
			}
			ok, err := l.sameOwner(ctx, addr, named)
			if err != nil {
				return nil, fmt.Errorf("aliases of %q: %w", addr, err)
			}
			if ok {
				list = append(list, named)
			}
		}
	}
	return list, nil
}
