package service

import (
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
)

// unmet are conditions that no message can meet by the listeners that there are, and
// rules that Postfix must be set up for: what they say would silently not happen.
func unmet(c *config.Config) config.Problems {
	u := unmetter{config: c}
	for i := range c.Rules {
		r := &c.Rules[i]
		u.client("rule", i, "user", r.User, r.Listener)
		u.client("rule", i, "except_user", r.ExceptUser, r.Listener)
		u.listeners("rule", i, "listener", r.Listener)
		u.listeners("rule", i, "except_listener", r.ExceptListener)
		u.contradictions("rule", i, r)
		u.sizes("rule", i, int64(r.LargerThan), int64(r.SmallerThan))
		if r.Mixed == "forbid" && u.has(func(l config.Listener) bool { return l.Protocol == "lmtp" }) {
			u.warn(key("rule", i, "mixed"), "applies only to recipients in the same transaction, and Postfix splits a message after 50 recipients for LMTP",
				"set lmtp_destination_recipient_limit in main.cf to at least limits.recipients")
		}
	}
	for i := range c.InboundRules {
		r := &c.InboundRules[i]
		u.listeners("inbound_rule", i, "listener", r.Listener)
		u.listeners("inbound_rule", i, "except_listener", r.ExceptListener)
		u.contradictions("inbound_rule", i, r)
		u.sizes("inbound_rule", i, int64(r.LargerThan), int64(r.SmallerThan))
	}
	for i := range c.Entitled {
		e := &c.Entitled[i]
		u.client("entitlement", i, "user", e.User, e.Listener)
		if slices.Contains(e.From, enforce.Self) || slices.Contains(e.From, enforce.Listed) {
			u.client("entitlement", i, "from", e.From, e.Listener)
		}
		u.listeners("entitlement", i, "listener", e.Listener)
		u.authors(i, e.From)
	}
	return u.found
}

// unmetter gathers them.
type unmetter struct {
	config *config.Config
	found  config.Problems
}

func (u *unmetter) warn(key, text, remedy string) {
	u.found = append(u.found, u.config.Problem(key, text, remedy))
}

func (u *unmetter) has(ok func(config.Listener) bool) bool {
	return slices.ContainsFunc(u.config.Listeners, ok)
}

// named reports whether a list of a condition says something.
func named(list []string) bool {
	return len(list) > 0 && !slices.Equal(list, []string{config.Everybody})
}

// client warns of what depends on the authenticated name where all listeners that the
// rule is about speak LMTP: Postfix passes on the address of its client, and not the
// name (XFORWARD_README).
func (u *unmetter) client(table string, i int, option string, list, listeners []string) {
	if !named(list) || !u.has(func(l config.Listener) bool { return u.meant(listeners, l) }) {
		return
	}
	if u.has(func(l config.Listener) bool {
		return u.meant(listeners, l) && (l.Protocol != "lmtp" || l.Authenticates())
	}) {
		return
	}
	u.warn(key(table, i, option), "never matches: Postfix does not report the authenticated user to a listener with protocol = \"lmtp\"",
		"use network or sender, or a listener with protocol = \"milter\" or \"smtp\"")
}

// meant reports whether the condition on listeners may mean l.
func (u *unmetter) meant(listeners []string, l config.Listener) bool {
	return !named(listeners) || slices.ContainsFunc(listeners, func(s string) bool { return enforce.Wildcard(s, l.Name) })
}

// listeners warns of names that no listener has.
func (u *unmetter) listeners(table string, i int, option string, list []string) {
	if !named(list) {
		return
	}
	for _, s := range list {
		if !u.has(func(l config.Listener) bool { return enforce.Wildcard(s, l.Name) }) {
			u.warn(key(table, i, option), "no listener is named \""+s+"\": the condition never matches", "name one of [[listener]]")
		}
	}
}
