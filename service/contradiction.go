package service

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
)

// contradictions warns of conditions of a rule of which one excludes the other: such a
// rule never matches, and what it demands does not happen.
func (u *unmetter) contradictions(table string, i int, rule any) {
	v := reflect.ValueOf(rule).Elem()
	t := v.Type()
	for f := range t.NumField() {
		field := t.Field(f)
		except, ok := t.FieldByName("Except" + field.Name)
		if !ok || field.Type != reflect.TypeFor[[]string]() {
			continue
		}
		list, excepted := v.Field(f).Interface().([]string), v.FieldByIndex(except.Index).Interface().([]string)
		covered := coverage[field.Tag.Get("toml")]
		if covered == nil {
			covered = literally
		}
		if named(list) && !slices.ContainsFunc(list, func(s string) bool { return !covered(s, excepted) }) {
			u.warn(key(table, i, except.Tag.Get("toml")), "covers all of "+field.Tag.Get("toml")+": the rule never matches", "remove one of the two conditions, or what they have in common")
		}
	}
}

// sizes warns of a condition on the size that no message can meet.
func (u *unmetter) sizes(table string, i int, larger, smaller int64) {
	limit := int64(u.config.Limits.MessageSize)
	switch {
	case larger > 0 && smaller > 0 && larger >= smaller-1:
		u.warn(key(table, i, "larger_than"), "is not less than smaller_than: the rule never matches", "write a smaller size")
	case larger > 0 && limit > 0 && larger >= limit:
		u.warn(key(table, i, "larger_than"), "is not less than limits.message_size, beyond which messages are refused: the rule never matches", "write a smaller size")
	}
}

// authors warns of authors of an entitlement that are not local: only for local ones is
// mail signed.
func (u *unmetter) authors(i int, from []string) {
	local := func(domain string) bool {
		a, err := address.Parse("x@" + domain)
		p, bad := enforce.CompilePatterns(u.config.Domains)
		return err != nil || bad != nil || p.Match(a)
	}
	for _, s := range from {
		domain := s[strings.LastIndexByte(s, '@')+1:]
		if s == enforce.Self || s == enforce.Listed || strings.ContainsAny(domain, "*?:") || strings.HasPrefix(domain, ".") || local(domain) {
			continue
		}
		u.warn(key("entitlement", i, "from"), "\""+s+"\" is not in a local domain: mail of such an author is never signed", "write an author in one of domains")
	}
}

// coverage says by condition whether all that a value means is excepted; for the others
// see literally.
var coverage = map[string]func(value string, excepted []string) bool{
	"sender": mailboxCovered, "from": mailboxCovered, "recipient": mailboxCovered,
	"network": networkCovered, "user": globCovered, "listener": globCovered, "reason": globCovered, "algorithm": globCovered,
}

// literally reports whether a value is excepted as it is written.
func literally(value string, excepted []string) bool {
	return slices.ContainsFunc(excepted, func(e string) bool { return strings.EqualFold(e, value) })
}

func globCovered(value string, excepted []string) bool {
	plain := !strings.ContainsAny(value, "*?")
	return literally(value, excepted) || plain && slices.ContainsFunc(excepted, func(e string) bool { return enforce.Wildcard(e, value) })
}

// mailboxCovered is about addresses and domains. What is in a file is not looked at.
func mailboxCovered(value string, excepted []string) bool {
	if literally(value, excepted) {
		return true
	}
	if strings.ContainsAny(value, "*?:") || strings.HasPrefix(value, ".") {
		return false
	}
	probe := value
	if !strings.Contains(value, "@") {
		// A domain is covered by what covers each of its addresses.
		probe = "x@" + value
		excepted = slices.DeleteFunc(slices.Clone(excepted), func(e string) bool { return strings.Contains(e, "@") && !strings.HasPrefix(e, "*@") })
	}
	excepted = slices.DeleteFunc(slices.Clone(excepted), func(e string) bool { return strings.Contains(e, ":") })
	a, err := address.Parse(probe)
	p, bad := enforce.CompilePatterns(excepted)
	return err == nil && bad == nil && p.Match(a)
}

func networkCovered(value string, excepted []string) bool {
	inner, err := prefix(value)
	return err == nil && slices.ContainsFunc(excepted, func(e string) bool {
		outer, err := prefix(e)
		return err == nil && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
	})
}

// prefix reads a network, or an address as the network of it alone.
func prefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
