package directory

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"

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

// hasAliases implements groupSource.
func (l *LDAP) hasAliases() bool { return l.aliasFilter != nil }

// holders implements groupSource. A server that has more entries than it gives has
// more than one.
func (l *LDAP) holders(ctx context.Context, addr address.Address) ([]holder, error) {
	if !l.hasAliases() {
		return nil, nil
	}
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		return s.request(s.target.base, s.target.scope, l.aliasFilter.expand(addr),
			append([]string{attrObjectClass, attrControl}, l.aliases...))
	})
	if err != nil && (result == nil || len(result.Entries) < 2) {
		return nil, err
	}
	var list []holder
	for _, e := range result.Entries {
		h := holder{source: l.name, dn: e.DN, mailbox: !disabled(e) && !hasClass(e, "contact") && !hasClass(e, groupClasses...)}
		for _, attribute := range l.aliases {
			for _, value := range texts(e, attribute) {
				if a, ok := listed(value); ok {
					h.addresses = append(h.addresses, a)
				}
			}
		}
		list = append(list, h)
	}
	return list, nil
}
