package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/errgroup"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Attributes that name members, by base name: by DN (RFC 4519 section 2.17, 2.40),
// by user name (RFC 2307), by a search (groupOfURLs).
const (
	attrMember       = "member"
	attrUniqueMember = "uniqueMember"
	attrMemberUID    = "memberUid"
	attrMemberURL    = "memberURL"
)

// Attributes that hold an address, the preferred first.
var addressAttributes = []string{"mail", "proxyAddresses", "targetAddress"}

// memberAttributes are what must be known of a member, who may be a group.
func memberAttributes() []string {
	return append([]string{attrObjectClass, attrMember, attrUniqueMember, attrMemberUID, attrMemberURL}, addressAttributes...)
}

// expandAtOnce is how many members are read side by side.
const expandAtOnce = 16

var (
	errManyMembers = errors.New("more members than allowed")
	errDeepGroup   = errors.New("groups nested deeper than allowed")
)

// Expand returns the members of the group addr, level by level.
func (l *LDAP) Expand(ctx context.Context, addr address.Address) (Group, error) {
	result, err := l.search(ctx, l.byAddress(addr, memberAttributes()...))
	if err != nil {
		return Group{}, err
	}
	level := groupsOf(result.Entries)
	switch {
	case len(result.Entries) == 0:
		return Group{}, errNoGroup
	case len(level) == 0:
		return Group{}, errMailbox
	}
	w := newGroupWalk(l)
	if err := w.all(ctx, level); err != nil {
		return Group{}, err
	}
	return w.expansion, nil
}

// groupWalk is an expansion under way.
type groupWalk struct {
	ldap *LDAP

	mu        sync.Mutex
	expansion Group
	mailboxes map[string]bool // by key: the Members of expansion
	groups    map[string]bool // normalised DNs of groups gone into: cuts cycles
	asked     map[string]bool // normalised DNs of members read
	entries   map[string]bool // normalised DNs of all that was taken in
	read      int             // entries looked at
	next      []*ldap.Entry   // groups of the next level
}

func newGroupWalk(l *LDAP) *groupWalk {
	return &groupWalk{
		ldap:      l,
		mailboxes: make(map[string]bool),
		groups:    make(map[string]bool),
		asked:     make(map[string]bool),
		entries:   make(map[string]bool),
	}
}

// all goes through groups and the groups in them, level by level.
func (w *groupWalk) all(ctx context.Context, level []*ldap.Entry) error {
	for depth := 0; len(level) > 0; depth++ {
		if depth == w.ldap.depth {
			return fmt.Errorf("%w: %d", errDeepGroup, w.ldap.depth)
		}
		var err error
		if level, err = w.down(ctx, level); err != nil {
			return err
		}
	}
	return nil
}

// down takes the members of all groups of one level in, and returns those that
// are groups themselves.
func (w *groupWalk) down(ctx context.Context, level []*ldap.Entry) ([]*ldap.Entry, error) {
	w.next = nil
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(expandAtOnce)
	for _, group := range level {
		if !once(w.groups, normalDN(group.DN)) {
			continue
		}
		dns, err := w.memberDNs(ctx, group)
		if err != nil {
			return nil, errors.Join(err, tasks.Wait())
		}
		for _, dn := range dns {
			if !once(w.asked, normalDN(dn)) {
				continue
			}
			tasks.Go(func() error { return w.byDN(ctx, dn) })
		}
		for uids := range slices.Chunk(texts(group, attrMemberUID), 50) {
			tasks.Go(func() error { return w.byUID(ctx, uids) })
		}
		for _, url := range texts(group, attrMemberURL) {
			tasks.Go(func() error { return w.byURL(ctx, url) })
		}
	}
	err := tasks.Wait()
	return w.next, err
}

// once reports whether key is new to the set, and puts it in.
func once(set map[string]bool, key string) bool {
	if set[key] {
		return false
	}
	set[key] = true
	return true
}

// normalDN returns a form in which DNs can be compared, roughly: attribute types
// that compare exactly are treated as if they did not.
func normalDN(dn string) string {
	if parsed, err := ldap.ParseDN(dn); err == nil {
		dn = parsed.String()
	}
	return strings.ToLower(dn)
}

// take adds an entry: a group to the next level, all others to the members.
func (w *groupWalk) take(e *ldap.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read++; w.read > w.ldap.members {
		return fmt.Errorf("%w: %d", errManyMembers, w.ldap.members)
	}
	w.entries[normalDN(e.DN)] = true
	if hasClass(e, groupClasses...) {
		w.next = append(w.next, e)
		return nil
	}
	a, ok := mailboxOf(e)
	if !ok {
		w.expansion.Notes = append(w.expansion.Notes, fmt.Sprintf("member %q has no address", e.DN))
		return nil
	}
	if once(w.mailboxes, a.Key(address.ExactCase)) {
		w.expansion.Members = append(w.expansion.Members, a)
	}
	return nil
}

// mailboxOf returns the address that mail for an entry goes to. Exchange marks
// the primary one of proxyAddresses by upper case.
func mailboxOf(e *ldap.Entry) (address.Address, bool) {
	for _, name := range addressAttributes {
		for _, text := range texts(e, name) {
			if name != addressAttributes[0] {
				var ok bool
				if text, ok = strings.CutPrefix(text, "SMTP:"); !ok {
					continue
				}
			}
			if a, err := address.Parse(text); err == nil {
				return a, true
			}
		}
	}
	return address.Address{}, false
}

// texts returns the values of an attribute by its name.
func texts(e *ldap.Entry, name string) []string {
	var list []string
	for _, v := range values(e, strings.ToLower(name)) {
		list = append(list, string(v))
	}
	return list
}
