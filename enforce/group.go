package enforce

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Membership is what is known of an address and a group of the directory: three
// ways, never two. The zero value is MemberUnknown, so that what was not asked is never
// read as "no member".
type Membership int

// The states.
const (
	MemberUnknown Membership = iota // not known
	NotMember                       // no member
	Member                          // in the group, in a group in it, or the group itself
)

// MembershipFacts is what is known of an address and one group.
type MembershipFacts struct {
	State  Membership
	Reason string // why it is MemberUnknown
}

// not turns what is known of a condition into what is known of its opposite.
func (m Membership) not() Membership {
	switch m {
	case Member:
		return NotMember
	case NotMember:
		return Member
	}
	return MemberUnknown
}

// GroupKey returns the form in which facts name a group: a mail address, or a
// distinguished name, which is what has a "=".
func GroupKey(name string) (string, error) {
	name = strings.TrimSpace(name)
	if strings.Contains(name, "=") {
		if !isDN(name) {
			return "", errors.New(`not a distinguished name; write one such as "cn=board,ou=groups,dc=example,dc=org"`)
		}
		return name, nil
	}
	a, err := address.Parse(name)
	if err != nil || strings.ContainsAny(a.Local(), " \t*?") {
		// Who writes a glob means many groups, and would get one of that name.
		return "", errors.New("neither the address nor the distinguished name of a group; name each, without wildcards")
	}
	return a.Key(address.IgnoreCase), nil
}

// isDN reports whether s has the shape of RFC 4514: attributes and values with
// commas between. What the values are is the directory's business.
func isDN(s string) bool {
	part, escaped := "", false
	whole := func() bool {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		return ok && name != "" && strings.TrimSpace(value) != "" && !strings.ContainsFunc(name, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", r)
		})
	}
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
			return false
		case !escaped && r == ',':
			if !whole() {
				return false
			}
			part = ""
			continue
		}
		escaped = !escaped && r == '\\'
		part += string(r)
	}
	return whole() && !escaped
}

// groups is a condition on groups: of the list one must have the sender, or the
// recipient, as a member; with except, none may.
type groups struct {
	key    string // of the rule
	sender bool
	except bool
	names  []string // by GroupKey
}

// groupConditions compiles the conditions on groups.
func (c *compiler) groupConditions(r *Rule) []groups {
	var all []groups
	for _, g := range []struct {
		groups
		list []string
	}{
		{groups{key: "recipient_group"}, r.RecipientGroup},
		{groups{key: "except_recipient_group", except: true}, r.ExceptRecipientGroup},
		{groups{key: "sender_group", sender: true}, r.SenderGroup},
		{groups{key: "except_sender_group", sender: true, except: true}, r.ExceptSenderGroup},
	} {
		if g.list == nil {
			continue
		}
		c.notEmpty(g.key, g.list)
		for _, s := range g.list {
			name, err := GroupKey(s)
			if err != nil {
				c.problem(g.key, "%q: %v", s, err)
				continue
			}
			g.names = append(g.names, name)
		}
		all = append(all, g.groups)
	}
	if r.GroupUnknown != "" && len(all) == 0 {
		c.problem("group_unknown", "has an effect only with sender_group, recipient_group or their except_ twins; remove it")
	}
	return all
}

// known returns what the facts have of the person whom the condition is about.
func (g *groups) known(v *view) map[string]MembershipFacts {
	if g.sender {
		return v.facts.SenderGroups
	}
	return v.to.Groups
}

// state judges the condition; unsure is what it takes MemberUnknown for.
func (g *groups) state(v *view, unsure Membership) Membership {
	result := NotMember
	known := g.known(v)
	for _, name := range g.names {
		state := known[name].State
		if g.sender && v.facts.Sender.IsNull() {
			state = NotMember
		}
		if state == MemberUnknown {
			state = unsure
		}
		if state == Member {
			result = Member
			break
		}
		if state == MemberUnknown {
			result = MemberUnknown
		}
	}
	if g.except {
		return result.not()
	}
	return result
}

// belongs judges all conditions of a rule on groups: Member if they hold, MemberUnknown
// if that depends on what is unknown.
func (r *rule) belongs(v *view) Membership { return r.assuming(v, r.unsure) }

// assuming is belongs with another word than the rule's on what it takes MemberUnknown
// for.
func (r *rule) assuming(v *view, unsure Membership) Membership {
	result := Member
	for i := range r.groups {
		switch r.groups[i].state(v, unsure) {
		case NotMember:
			return NotMember
		case MemberUnknown:
			result = MemberUnknown
		}
	}
	return result
}

// unknownGroups says in words what could not be found out of a rule's groups.
func (r *rule) unknownGroups(v *view) string {
	for i := range r.groups {
		g := &r.groups[i]
		if g.state(v, r.unsure) != MemberUnknown {
			continue
		}
		who := v.recipient.address
		if g.sender {
			who = v.sender.address
		}
		for _, name := range g.names {
			if m := g.known(v)[name]; m.State == MemberUnknown {
				return fmt.Sprintf("cannot look up now whether %s is in the group %s%s", who, name, colon(m.Reason))
			}
		}
	}
	return "cannot decide now which rule matches"
}

func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// open returns the names of the condition of which the facts say nothing yet.
func (g *groups) open(v *view) []string {
	if g.sender && v.facts.Sender.IsNull() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.names), func(name string) bool {
		_, known := g.known(v)[name]
		return known
	})
}
