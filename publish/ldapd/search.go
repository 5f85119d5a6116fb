package ldapd

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maxAddresses is how many addresses one search of a stranger may name.
const maxAddresses = 5

// failure is the result of a request that is not served.
type failure struct {
	code      int64
	diagnosis string
}

func (f *failure) Error() string { return f.diagnosis }

var (
	errNoSuchObject = &failure{ldap.LDAPResultNoSuchObject, ""}
	errTooOften     = &failure{ldap.LDAPResultBusy, "too many questions; try again in a minute"}
	errNotReady     = &failure{ldap.LDAPResultUnavailable, "try again later"}
	errNotKnown     = &failure{ldap.LDAPResultUnavailable, "the certificates of this address are not known now"}
	errExactOnly    = &failure{ldap.LDAPResultUnwillingToPerform, "ask for one mail address in full"}
)

// found are the entries of an answer.
type found struct {
	entries []*entry
	more    bool // the size limit left some out
}

// search answers a search of a client that has, or has not, all rights.
func (p *Published) search(ctx context.Context, s searchRequest, all bool, allow func(n int) bool) (found, error) {
	if single := p.single(s); single != nil {
		if !allow(1) {
			return found{}, errTooOften
		}
		return found{entries: slices.DeleteFunc([]*entry{single}, func(e *entry) bool { return !s.filter.matches(e) })}, nil
	}
	addresses, err := p.named(s)
	if err != nil {
		return found{}, err
	}
	if !all && len(addresses) > maxAddresses {
		return found{}, errExactOnly
	}
	if !allow(max(1, len(addresses))) {
		return found{}, errTooOften
	}
	if p.Snapshot == nil {
		return found{}, errNotReady
	}
	if len(addresses) == 0 && !all {
		return found{}, nil // whatever is asked for: nothing is listed for strangers
	}
	c := collector{published: p, request: s, limit: p.SizeLimit, seen: map[string]bool{}}
	if n := int(s.sizeLimit); n > 0 && n < c.limit {
		c.limit = n
	}
	for _, a := range addresses {
		c.exact(ctx, a, all)
	}
	if all && s.scope != ldap.ScopeBaseObject {
		c.list(ctx)
	}
	return c.found, c.err
}

// single returns the entry that is asked for by its name alone, but for those of people.
func (p *Published) single(s searchRequest) *entry {
	if s.scope != ldap.ScopeBaseObject {
		return nil
	}
	switch {
	case s.base == "":
		return root(p.Base, p.StartTLS)
	case strings.EqualFold(s.base, schemaDN):
		return schema()
	}
	if dn, err := ldap.ParseDN(s.base); err == nil && dn.EqualFold(p.base) {
		return container(p.Base)
	}
	return nil
}

// named returns the addresses that a search names, in its filter or as its base.
func (p *Published) named(s searchRequest) ([]address.Address, error) {
	if s.base != "" {
		dn, err := ldap.ParseDN(s.base)
		if err != nil {
			return nil, &failure{ldap.LDAPResultInvalidDNSyntax, "the base is not a distinguished name"}
		}
		if a, ok := mailOf(dn, p.base); ok && s.scope != ldap.ScopeSingleLevel {
			return []address.Address{a}, nil
		}
		if !dn.EqualFold(p.base) && !dn.AncestorOfFold(p.base) || s.scope == ldap.ScopeBaseObject {
			return nil, errNoSuchObject
		}
	}
	return s.filter.addresses(nil), nil
}

// collector gathers entries up to a limit.
type collector struct {
	found
	published *Published
	request   searchRequest
	limit     int
	seen      map[string]bool
	err       error
}

// exact adds the entry of one address. The certificates of others are for clients with all
// rights.
func (c *collector) exact(ctx context.Context, a address.Address, all bool) {
	p := c.published
	own, published := p.Snapshot.Find(a), p.Match(a)
	if own != nil && published {
		c.add(own)
		return
	}
	if published && p.Snapshot.Unknown(a) {
		c.err = errNotKnown
		return
	}
	if !all || p.Own(a) || c.err != nil {
		return
	}
	e, err := p.Partners.Find(ctx, a)
	switch {
	case err != nil:
		c.err = errNotKnown
	case e != nil:
		c.add(e)
	}
}

// list adds the other entries that the filter matches.
func (c *collector) list(ctx context.Context) {
	p := c.published
	for e := range p.Snapshot.All() {
		if ctx.Err() != nil || c.more {
			break
		}
		if p.Match(e.Address) {
			c.add(e)
		}
	}
	for _, text := range c.request.filter.beginnings(nil) {
		if c.more || c.err != nil {
			return
		}
		list, err := p.Partners.Beginning(ctx, text, c.limit)
		if err != nil {
			c.err = errNotReady
			return
		}
		for _, a := range list {
			if !p.Own(a) && !c.more {
				c.exact(ctx, a, true)
			}
		}
	}
	if err := ctx.Err(); err != nil && c.err == nil {
		c.err = timeFailure(err)
	}
}

// timeFailure is the result of a search that took too long.
func timeFailure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{ldap.LDAPResultTimeLimitExceeded, ""}
	}
	return errNotReady
}

// add adds an entry that the filter matches.
func (c *collector) add(e *publish.Entry) {
	key := e.Address.Key(address.IgnoreCase)
	if c.seen[key] || len(e.Certificates) == 0 {
		return
	}
	entry := person(e, c.published.Base)
	if !c.request.filter.matches(entry) {
		return
	}
	c.seen[key] = true
	if len(c.entries) == c.limit {
		c.more = true
		return
	}
	if err := entry.complete(e); err != nil {
		c.err = cmp.Or(c.err, err)
		return
	}
	c.entries = append(c.entries, entry)
}

// within reports whether a client is in one of the networks.
func within(networks []netip.Prefix, client netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(client.Unmap()) })
}
