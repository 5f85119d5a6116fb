package ldapd

import (
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/smime/address"
)

// filter is the filter of a search (RFC 4511 section 4.5.1.7).
type filter struct {
	kind      ber.Tag
	below     []filter // of and, or, not
	attribute string   // lower case, without options
	value     string   // of an equality
	initial   string   // of substrings, as the others
	middle    []string
	final     string
}

// truth is a value of the logic of filters. An attribute that is not known is undefined, and
// not simply false: its negation is not true.
type truth int

const (
	no truth = iota
	undefined
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// parseFilter reads a filter; its depth was limited with that of the message.
func parseFilter(p *ber.Packet) (f filter, err error) {
	if p.ClassType != ber.ClassContext {
		return f, errRequest
	}
	f.kind = p.Tag
	switch f.kind {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		for _, c := range p.Children {
			sub, err := parseFilter(c)
			if err != nil {
				return f, err
			}
			f.below = append(f.below, sub)
		}
		if f.kind == ldap.FilterNot && len(f.below) != 1 {
			return f, errRequest
		}
	case ldap.FilterPresent:
		f.attribute = base(text(p))
	case ldap.FilterSubstrings:
		return f, f.parseSubstrings(p)
	case ldap.FilterExtensibleMatch: // undefined
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		if len(p.Children) != 2 {
			return f, errRequest
		}
		f.attribute, f.value = base(text(p.Children[0])), text(p.Children[1])
	default:
		return f, errRequest
	}
	return f, nil
}

func (f *filter) parseSubstrings(p *ber.Packet) error {
	if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
		return errRequest
	}
	f.attribute = base(text(p.Children[0]))
	for _, c := range p.Children[1].Children {
		switch c.Tag {
		case ldap.FilterSubstringsInitial:
			f.initial = text(c)
		case ldap.FilterSubstringsAny:
			f.middle = append(f.middle, text(c))
		case ldap.FilterSubstringsFinal:
			f.final = text(c)
		default:
			return errRequest
		}
	}
	return nil
}

// base is the name of an attribute without its options, such as ;binary.
func base(description string) string {
	name, _, _ := strings.Cut(description, ";")
	return strings.ToLower(name)
}

// matches reports whether a filter is true of an entry.
func (f *filter) matches(e *entry) bool { return f.judge(e) == yes }

func (f *filter) judge(e *entry) truth {
	switch f.kind {
	case ldap.FilterAnd:
		all := yes
		for i := range f.below {
			all = min(all, f.below[i].judge(e))
		}
		return all
	case ldap.FilterOr:
		one := no
		for i := range f.below {
			one = max(one, f.below[i].judge(e))
		}
		return one
	case ldap.FilterNot:
		return yes - f.below[0].judge(e)
	}
	values, known := e.values(f.attribute)
	if !known {
		return undefined
	}
	switch f.kind {
	case ldap.FilterPresent:
		return truthOf(len(values) > 0)
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch:
		return anyOf(values, func(v string) bool { return strings.EqualFold(v, f.value) })
	case ldap.FilterSubstrings:
		return anyOf(values, f.holds)
	}
	return undefined
}

func anyOf(values []string, holds func(string) bool) truth {
	for _, v := range values {
		if holds(v) {
			return yes
		}
	}
	return no
}

// holds reports whether the parts of substrings are in a value, one behind the other.
func (f *filter) holds(value string) bool {
	value = strings.ToLower(value)
	rest, ok := strings.CutPrefix(value, strings.ToLower(f.initial))
	if !ok {
		return false
	}
	for _, m := range f.middle {
		if _, rest, ok = strings.Cut(rest, strings.ToLower(m)); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, strings.ToLower(f.final))
}

// addresses are the mail addresses that a filter asks for in full. Outlook asks for those
// that begin with what the user wrote: where that is an address, it is meant.
func (f *filter) addresses(list []address.Address) []address.Address {
	for i := range f.below {
		list = f.below[i].addresses(list)
	}
	value := f.value
	if f.kind == ldap.FilterSubstrings && len(f.middle) == 0 && f.final == "" {
		value = f.initial
	}
	if lower := strings.ToLower(value); strings.HasPrefix(lower, "smtp:") {
		value = value[len("smtp:"):]
	}
	a, err := address.Parse(value)
	if err != nil || a.IsNull() {
		return list
	}
	for _, known := range list {
		if known.Equal(a, address.IgnoreCase) {
			return list
		}
	}
	return append(list, a)
}

// beginnings are what addresses are to begin with.
func (f *filter) beginnings(list []string) []string {
	for i := range f.below {
		list = f.below[i].beginnings(list)
	}
	if f.kind == ldap.FilterSubstrings && f.attribute == attrMail && f.initial != "" {
		list = append(list, strings.ToLower(f.initial))
	}
	return list
}
