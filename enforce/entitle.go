package enforce

import (
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Entitlement says in whose name some clients may have mail signed. Without one
// a gateway would sign for every client that connects to it.
type Entitlement struct {
	Line int // where it stands in its file; 0 if unknown
	// Conditions on the client: all that are given must hold. See Rule.
	User, Network, Listener []string
	// From are the authors in whose name may be signed, as patterns; Self is the
	// one whose name the client authenticated with, Listed those that the directory
	// lists for that name.
	From []string
}

// Self, in Entitlement.From, is the author whose address, or whose local part
// alone, is the client's authenticated name.
const Self = "self"

// Listed, in Entitlement.From, are the authors whose addresses the directory
// lists for the client's authenticated name.
const Listed = "directory"

// ListedFacts is what the directory lists for an authenticated name. The zero
// value is unknown.
type ListedFacts struct {
	Known     bool
	Addresses []address.Address
}

// Entitlements is a compiled list. A nil one entitles every client that may
// send outbound.
type Entitlements struct{ list []entitlement }

type entitlement struct {
	conditions []condition
	self       bool
	listed     bool
	from       *Patterns
}

// CompileEntitlements compiles list. The error joins all problems, each a
// *Problem.
func CompileEntitlements(list []Entitlement) (*Entitlements, error) {
	if len(list) == 0 {
		return nil, nil
	}
	c := compiler{}
	all := &Entitlements{}
	for i := range list {
		all.list = append(all.list, c.entitlement(&list[i]))
	}
	return all, errors.Join(c.problems...)
}

func (c *compiler) entitlement(in *Entitlement) entitlement {
	c.at = Problem{Table: "entitlement", Line: in.Line}
	e := entitlement{conditions: c.conditions(&Rule{User: in.User, Network: in.Network, Listener: in.Listener})}
	var patterns []string
	for _, s := range in.From {
		switch s {
		case Self:
			e.self = true
		case Listed:
			e.listed = true
		default:
			patterns = append(patterns, s)
		}
	}
	if len(in.From) == 0 {
		c.problem("from", `is empty; write addresses, domains, "self" or "directory"`)
	}
	if len(e.conditions) == 0 && patterns != nil {
		c.problem("", `names no client; add a user ("?*" matches any authenticated user), a network or a listener`)
	}
	e.from = c.patterns("from", patterns)
	return e
}

// MaySign reports whether a client may have mail signed in the name of from,
// whatever the directory lists.
func (e *Entitlements) MaySign(client Client, from address.Address) bool {
	if e == nil {
		return true
	}
	return e.any(client, func(one *entitlement) bool {
		return one.self && isSelf(client.User, from) || one.from != nil && one.from.Match(from)
	})
}

// Lists reports whether what the directory lists for a client counts.
func (e *Entitlements) Lists(client Client) bool {
	return e != nil && client.User != "" && e.any(client, func(one *entitlement) bool { return one.listed })
}

// Has reports whether from is among the addresses listed.
func (l ListedFacts) Has(from address.Address) bool {
	return l.Known && slices.ContainsFunc(l.Addresses, func(a address.Address) bool { return a.Equal(from, address.IgnoreCase) })
}

// any reports whether ok holds for one of the entitlements for a client.
func (e *Entitlements) any(client Client, ok func(*entitlement) bool) bool {
	v := &view{facts: &Facts{Client: client}}
	return slices.ContainsFunc(e.list, func(one entitlement) bool { return one.applies(v) && ok(&one) })
}

func (e *entitlement) applies(v *view) bool {
	for i := range e.conditions {
		if e.conditions[i].judge(v) != yes {
			return false
		}
	}
	return true
}

func isSelf(user string, from address.Address) bool {
	if user == "" {
		return false
	}
	if strings.Contains(user, "@") {
		a, err := address.Parse(user)
		return err == nil && a.Equal(from, address.IgnoreCase)
	}
	return strings.EqualFold(user, from.Local())
}
