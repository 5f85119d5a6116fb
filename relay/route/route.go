// Package route decides by which way a copy leaves. It does no I/O: the same facts give
// the same way each time.
package route

import (
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Route is a way by which mail leaves, with the conditions under which it does.
type Route struct {
	// Name is unique in a table.
	Name string
	// PerDomain says that the domain of the recipient decides the hosts (MX records).
	PerDomain bool
	Conditions
}

// Conditions are what must hold of a recipient. A list that is empty is no condition;
// of others one entry must match.
type Conditions struct {
	// Recipient and Sender are patterns of enforce.CompilePatterns on the envelope.
	Recipient, ExceptRecipient, Sender, ExceptSender []string
	// Listener and Rule are globs of names.
	Listener, Rule []string
	// Direction is "outbound" or "inbound"; "" is either.
	Direction string
}

// Facts are what a route is chosen by.
type Facts struct {
	Sender, Recipient         address.Address
	Listener, Direction, Rule string
}

// FactsOf returns the facts of a recipient of d. The sender of mail that came in
// encrypted is the one it came in under, and not the gateway's address.
func FactsOf(d *relay.Delivery, r relay.Recipient) Facts {
	f := Facts{Sender: d.Sender, Recipient: r.Address, Listener: d.Listener, Direction: d.Direction, Rule: r.Rule}
	if d.Secret != nil {
		f.Sender = d.Secret.Sender
	}
	return f
}

// Destination is where a copy goes: recipients with equal destinations share hosts, and
// with them connections, rates and failures.
type Destination struct {
	// Route is the name of the route.
	Route string
	// Domain is that of the recipient, as A-labels, where it decides the hosts; "" where
	// the route does.
	Domain string
}

// String returns "route" or "route/domain". It is a key for those who keep what waits
// apart by destination: printable, and at most 320 octets for a route name of up to 64.
func (d Destination) String() string {
	if d.Domain == "" {
		return d.Route
	}
	return d.Route + "/" + d.Domain
}

// Table is a list of routes, of which the first that matches counts.
type Table struct {
	routes []compiled
	local  func(address.Address) bool
}

type compiled struct {
	Route
	recipient, exceptRecipient, sender, exceptSender *enforce.Patterns
}

// New compiles a table. local reports whether an address is in the local domains: mail of
// which no direction is known, such as a report, is inbound to these and outbound to
// others. The error joins a Problem for each thing that is wrong. The last route must
// have no conditions, so that every copy has a way.
func New(routes []Route, local func(address.Address) bool) (*Table, error) {
	t := &Table{local: local}
	var errs []error
	for i, r := range routes {
		c := compiled{Route: r}
		for _, l := range []struct {
			key  string
			list []string
			to   **enforce.Patterns
		}{
			{"recipient", r.Recipient, &c.recipient}, {"except_recipient", r.ExceptRecipient, &c.exceptRecipient},
			{"sender", r.Sender, &c.sender}, {"except_sender", r.ExceptSender, &c.exceptSender},
		} {
			if len(l.list) == 0 {
				continue
			}
			p, err := enforce.CompilePatterns(l.list)
			if err != nil {
				errs = append(errs, &Problem{Index: i, Key: l.key, Text: err.Error()})
			}
			*l.to = p
		}
		t.routes = append(t.routes, c)
	}
	if len(routes) == 0 || !routes[len(routes)-1].unconditional() {
		errs = append(errs, errors.New("the last route has conditions: some mail would have none"))
	}
	return t, errors.Join(errs...)
}

// Problem is what is wrong with a route.
type Problem struct {
	Index int // in the list
	Key   string
	Text  string
}

// Error returns the text with its place.
func (p *Problem) Error() string { return fmt.Sprintf("route %d: %s: %s", p.Index+1, p.Key, p.Text) }

func (c *Conditions) unconditional() bool {
	return len(c.Recipient)+len(c.ExceptRecipient)+len(c.Sender)+len(c.ExceptSender)+len(c.Listener)+len(c.Rule) == 0 && c.Direction == ""
}

// Find returns the route for f: the first whose conditions hold.
func (t *Table) Find(f Facts) *Route {
	if f.Direction == "" {
		f.Direction = string(enforce.Outbound)
		if t.local(f.Recipient) {
			f.Direction = string(enforce.Inbound)
		}
	}
	for i := range t.routes {
		if c := &t.routes[i]; c.matches(f) {
			return &c.Route
		}
	}
	return &t.routes[len(t.routes)-1].Route
}

func (c *compiled) matches(f Facts) bool {
	return (c.Direction == "" || c.Direction == f.Direction) &&
		wildcards(c.Listener, f.Listener) && wildcards(c.Rule, f.Rule) &&
		(c.recipient == nil || c.recipient.Match(f.Recipient)) && (c.sender == nil || c.sender.Match(f.Sender)) &&
		(c.exceptRecipient == nil || !c.exceptRecipient.Match(f.Recipient)) && (c.exceptSender == nil || !c.exceptSender.Match(f.Sender))
}

// wildcards reports whether one of the globs matches s, or there is none.
func wildcards(globs []string, s string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return enforce.Wildcard(g, s) })
}

// Destination returns where f goes.
//
// A queue may rely on this: it is pure and fast, does not block and never fails;
// recipients with equal destinations may share a job and a transaction, and those with
// different ones never do, so that a dead destination holds up no other. It is not for
// ever: another configuration may give another destination, so it is asked again for
// what waits, or the delivery is split by it when it is made. The Deliverer of package
// service takes any mix of destinations and splits it by itself.
func (t *Table) Destination(f Facts) Destination {
	r := t.Find(f)
	d := Destination{Route: r.Name}
	if r.PerDomain {
		d.Domain = f.Recipient.Domain()
	}
	return d
}
