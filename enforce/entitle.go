package enforce

import (
	"errors"
	"strings"

	"github.com/smimerelay/smimerelay/internal/address"
)

// Entitlement says in whose name some clients may have mail signed. Without one
// a gateway would sign for whoever connects to it.
type Entitlement struct {
	Line int // where it stands in its file; 0 if unknown
	// Conditions on the client: all that are given must hold. See Rule.
	User, Network, Listener []string
	// From are the authors in whose name may be signed, as patterns; Self is the
	// one whose name the client authenticated with.
	From []string
}

// Self, in Entitlement.From, is the author whose address, or whose local part
// alone, is the client's authenticated name.
const Self = "self"

// Entitlements is a compiled list. A nil one entitles every client that may
// send outbound.
type Entitlements struct{ list []entitlement }

type entitlement struct {
	conditions []condition
	self       bool
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
	as := Rule{Name: "entitlement", Line: in.Line, User: in.User, Network: in.Network, Listener: in.Listener}
	c.at = &as
	e := entitlement{conditions: c.conditions(&as)}
	var patterns []string
	for _, s := range in.From {
		if s == Self {
			e.self = true
		} else {
			patterns = append(patterns, s)
		}
	}
	if len(in.From) == 0 {
		c.problem("from", `names nobody; write addresses, domains or "self"`)
	}
	if len(e.conditions) == 0 && patterns != nil {
		c.problem("", `names no client; give it a user ("?*" is whoever logged in), a network or a listener`)
	}
	e.from = c.patterns("from", patterns)
	return e
}

// MaySign reports whether a client may have mail signed in the name of from.
func (e *Entitlements) MaySign(client Client, from address.Address) bool {
	if e == nil {
		return true
	}
	v := &view{facts: &Facts{Client: client}}
	for i := range e.list {
		if e.list[i].allows(v, from) {
			return true
		}
	}
	return false
}

func (e *entitlement) allows(v *view, from address.Address) bool {
	for i := range e.conditions {
		if !e.conditions[i].holds(v) {
			return false
		}
	}
	return e.self && isSelf(v.facts.Client.User, from) || e.from != nil && e.from.Match(from)
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
