package directory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/smime/address"
)

// attrEffective lists, in Active Directory, the attributes of an entry that the account may
// write that asks for it ([MS-ADTS] section 3.1.1.4.5.15).
const attrEffective = "allowedAttributesEffective"

// ValueChange is what is to be done to an attribute, whose other values stay.
type ValueChange struct {
	Attribute string
	// Remove are not there afterwards, and Add are: whether or not they were before.
	Remove, Add [][]byte
}

// EntriesOf returns the names of the entries of an address that are not groups or contacts.
func (l *LDAP) EntriesOf(ctx context.Context, addr address.Address) ([]string, error) {
	result, err := l.search(ctx, l.byAddress(addr))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range result.Entries {
		if !hasClass(e, groupClasses...) && !hasClass(e, "contact") {
			list = append(list, e.DN)
		}
	}
	return list, nil
}

// ChangeValues changes values of an entry, all of them or none, and reports whether there is
// the entry. Only values that differ are written, each by itself: what others change at the
// same time stays.
func (l *LDAP) ChangeValues(ctx context.Context, dn string, changes ...ValueChange) (found bool, err error) {
	var attributes []string
	for _, c := range changes {
		attributes = append(attributes, c.Attribute)
	}
	entry, at, err := l.entry(ctx, dn, attributes...)
	if entry == nil || err != nil {
		return false, err
	}
	binary := ""
	if is, err := l.activeDirectory(ctx); err != nil {
		return true, err
	} else if !is {
		binary = ";binary" // certificates have no other form there (RFC 4523 section 2.1)
	}
	r := ldap.NewModifyRequest(dn, nil)
	for _, c := range changes {
		has := values(entry, baseName(c.Attribute))
		name := baseOf(c.Attribute) + binary
		among := func(list [][]byte, v []byte) bool {
			return slices.ContainsFunc(list, func(w []byte) bool { return bytes.Equal(v, w) })
		}
		if gone := texted(c.Remove, func(v []byte) bool { return among(has, v) && !among(c.Add, v) }); len(gone) > 0 {
			r.Delete(name, gone)
		}
		if fresh := texted(c.Add, func(v []byte) bool { return !among(has, v) }); len(fresh) > 0 {
			r.Add(name, fresh)
		}
	}
	if len(r.Changes) == 0 {
		return true, nil
	}
	if err := at.modify(ctx, r); err != nil {
		return true, writeRemedy(fmt.Errorf("%s: %w", at.target.url, err))
	}
	return true, nil
}

// Writable returns the attributes of an entry that the account may write; none where the
// server does not say.
func (l *LDAP) Writable(ctx context.Context, dn string) ([]string, error) {
	entry, _, err := l.entry(ctx, dn, attrEffective)
	if entry == nil || err != nil {
		return nil, err
	}
	return texts(entry, attrEffective), nil
}

// entry reads one entry, and says which server has it; nil where it is gone.
func (l *LDAP) entry(ctx context.Context, dn string, attributes ...string) (*ldap.Entry, *server, error) {
	var at *server
	result, err := l.search(ctx, func(s *server) *ldap.SearchRequest {
		at = s // the last one asked is the one that answers
		return s.request(dn, ldap.ScopeBaseObject, everyEntry, attributes)
	})
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case len(result.Entries) != 1:
		return nil, nil, nil
	}
	return result.Entries[0], at, nil
}

// baseOf is an attribute description without its options.
func baseOf(description string) string {
	name, _, _ := strings.Cut(description, ";")
	return name
}

// texted returns the values for which keep is true, as the library wants them.
func texted(list [][]byte, keep func([]byte) bool) []string {
	var out []string
	for _, v := range list {
		if keep(v) {
			out = append(out, string(v))
		}
	}
	return out
}

// writeRefusals are the answers that say that an entry cannot be written, and what to do.
var writeRefusals = map[uint16]string{
	ldap.LDAPResultInsufficientAccessRights: "let the account write this attribute of the entry; accounts of administrators in Active Directory do not inherit such rights",
	ldap.LDAPResultInappropriateMatching:    "the attribute has no equality rule on this server, so that a single value cannot be changed: leave it out of attributes",
	ldap.LDAPResultObjectClassViolation:     "the entry has no object class with this attribute",
	ldap.LDAPResultUndefinedAttributeType:   "the server does not know the attribute: leave it out of attributes",
	ldap.LDAPResultReferral:                 "name a server that can be written to: this one has a copy for reading",
}

// EntryRefused reports whether ChangeValues was refused for what the entry is, by a server that
// may well write others.
func EntryRefused(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultObjectClassViolation, ldap.LDAPResultConstraintViolation)
}

// writeRemedy adds to an error of a change what to do about it.
func writeRemedy(err error) error {
	for code, remedy := range writeRefusals {
		if ldap.IsErrorWithCode(err, code) {
			return &remediedError{err, remedy}
		}
	}
	return withRemedy(err)
}
