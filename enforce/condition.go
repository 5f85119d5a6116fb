package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// condition is one condition of a rule.
type condition struct {
	late   bool // needs header or body
	except bool // must not hold
	holds  test
}

// judge says whether the condition holds.
func (c *condition) judge(v *view) answer {
	if c.except {
		return c.holds(v).not()
	}
	return c.holds(v)
}

// test judges a condition, or one element of its list.
type test func(*view) answer

// conditionKind is a condition that takes a list.
type conditionKind struct {
	key     string
	late    bool
	compile func(string) (test, error)
	list    func(*Rule) (yes, except []string)
}

// conditionKinds are the conditions that take lists, but for sender and
// recipient, which are indexed.
var conditionKinds = []conditionKind{
	{"user", false, userTest, func(r *Rule) ([]string, []string) { return r.User, r.ExceptUser }},
	{"network", false, networkTest, func(r *Rule) ([]string, []string) { return r.Network, r.ExceptNetwork }},
	{"listener", false, listenerTest, func(r *Rule) ([]string, []string) { return r.Listener, r.ExceptListener }},
	{"header", true, headerTest, func(r *Rule) ([]string, []string) { return r.Header, r.ExceptHeader }},
	{"subject", true, subjectTest, func(r *Rule) ([]string, []string) { return r.Subject, r.ExceptSubject }},
	{"sensitivity", true, fieldTest("sensitivity"), func(r *Rule) ([]string, []string) { return r.Sensitivity, r.ExceptSensitivity }},
	{"importance", true, fieldTest("importance"), func(r *Rule) ([]string, []string) { return r.Importance, r.ExceptImportance }},
	{"attachment", true, attachmentTest, func(r *Rule) ([]string, []string) { return r.Attachment, r.ExceptAttachment }},
}

func userTest(s string) (test, error) {
	s = strings.ToLower(s)
	return func(v *view) answer {
		return is(v.facts.Client.User != "" && Wildcard(s, strings.ToLower(v.facts.Client.User)))
	}, nil
}

func networkTest(s string) (test, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, errors.New(`not a network; write one such as "192.0.2.0/24"`)
	}
	return func(v *view) answer { return is(p.Contains(v.facts.Client.Addr.Unmap())) }, nil
}

func listenerTest(s string) (test, error) {
	return func(v *view) answer { return is(Wildcard(s, v.facts.Client.Listener)) }, nil
}

// fieldCondition is a condition on a field of the header.
type fieldCondition struct {
	name  string // in lower case
	op    byte
	value string
}

// What a fieldCondition asks for.
const (
	fieldIsThere byte = 0
	fieldIs      byte = ':' // value, whatever the case
	fieldMatches byte = '~' // the regular expression value
)

// parseField reads "Name", "Name: value" and "Name ~ expression".
func parseField(s string) fieldCondition {
	c := fieldCondition{name: s}
	if i := strings.IndexAny(s, ":~"); i >= 0 {
		c.name, c.op, c.value = s[:i], s[i], strings.TrimSpace(s[i+1:])
	}
	c.name = strings.ToLower(strings.TrimSpace(c.name))
	return c
}

func fieldConditions(list []string) []fieldCondition {
	var all []fieldCondition
	for _, s := range list {
		all = append(all, parseField(s))
	}
	return all
}

func headerTest(s string) (test, error) {
	c := parseField(s)
	if c.name == "" || strings.ContainsFunc(c.name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New(`not a header condition; write "Name", "Name: value" or "Name ~ expression"`)
	}
	ok := func(string) bool { return true }
	switch c.op {
	case fieldIs:
		ok = func(s string) bool { return strings.EqualFold(s, c.value) }
	case fieldMatches:
		re, err := regexp.Compile(c.value)
		if err != nil {
			return nil, fmt.Errorf("not a regular expression of RE2: %w; correct it, or put a backslash before what is meant literally", err)
		}
		ok = re.MatchString
	}
	return func(v *view) answer { return v.facts.Content.field(c.name, ok) }, nil
}

// field judges a condition on the values of a field, of which one must be ok.
func (m *Content) field(name string, ok func(string) bool) answer {
	return m.found(name, slices.ContainsFunc(m.Header[name], ok))
}

// found is the answer on a field of which a value that can be read is ok, or none is.
func (m *Content) found(name string, ok bool) answer {
	switch {
	case ok:
		return yes
	case m.Unread[name]:
		return maybe
	}
	return no
}

func subjectTest(s string) (test, error) {
	s = folded(s)
	return func(v *view) answer {
		return v.facts.Content.found("subject", slices.ContainsFunc(v.subjects(), func(subject string) bool { return strings.Contains(subject, s) }))
	}, nil
}

func foldedAll(list []string) []string {
	var all []string
	for _, s := range list {
		all = append(all, folded(s))
	}
	return all
}

// folded returns s in the form in which words are compared: an "ü" is one, however
// it was put together.
func folded(s string) string { return strings.ToLower(norm.NFC.String(s)) }

func fieldTest(name string) func(string) (test, error) {
	return func(s string) (test, error) {
		return func(v *view) answer {
			return v.facts.Content.field(name, func(value string) bool { return strings.EqualFold(value, s) })
		}, nil
	}
}

func attachmentTest(s string) (test, error) {
	s = folded(s)
	byType := strings.Contains(s, "/")
	return func(v *view) answer {
		result := no
		for _, a := range v.facts.Content.Attachments {
			result = max(result, a.matches(s, byType))
		}
		return result
	}, nil
}

// matches judges one reading of an attachment.
func (a *Attachment) matches(glob string, byType bool) answer {
	name := a.MediaType
	if !byType {
		name = folded(a.Name)
	}
	switch {
	case Wildcard(glob, name) && !a.Doubtful:
		return yes
	case Wildcard(glob, name) || a.Unread:
		return maybe
	}
	return no
}

// conditions compiles what r says besides sender, recipient and direction.
func (c *compiler) conditions(r *Rule) []condition {
	var all []condition
	for _, k := range conditionKinds {
		yes, except := k.list(r)
		if yes != nil || except != nil {
			c.attachments = c.attachments || k.key == "attachment"
			if k.late && k.key != "attachment" {
				c.header = true
				c.fields = append(c.fields, fieldsOf(k.key, slices.Concat(yes, except))...)
			}
		}
		all = append(all, c.both(k.key, k.late, k.compile, yes, except)...)
	}
	all = append(all, c.authors(r)...)
	all = append(all, c.states(r)...)
	return append(all, c.numbers(r)...)
}

// fieldsOf are the fields of the header that a condition looks at.
func fieldsOf(key string, list []string) (names []string) {
	if key != "header" {
		return []string{key}
	}
	for _, c := range fieldConditions(list) {
		names = append(names, c.name)
	}
	return names
}

// both compiles the list of a condition and that of its "except" twin.
func (c *compiler) both(key string, late bool, compile func(string) (test, error), list, except []string) []condition {
	var all []condition
	if holds := c.anyOf(key, list, compile); holds != nil {
		all = append(all, condition{late: late, holds: holds})
	}
	if holds := c.anyOf("except_"+key, except, compile); holds != nil {
		all = append(all, condition{late: late, except: true, holds: holds})
	}
	return all
}

// anyOf compiles a list of which one element must hold; nil if there is none.
func (c *compiler) anyOf(key string, list []string, compile func(string) (test, error)) test {
	if list == nil {
		return nil
	}
	c.notEmpty(key, list)
	var tests []test
	for _, s := range list {
		t, err := compile(s)
		if s == "" {
			err = errors.New("is empty; remove it")
		}
		if err != nil {
			c.problem(key, "%q: %v", s, err)
			continue
		}
		tests = append(tests, t)
	}
	return func(v *view) answer {
		result := no
		for _, t := range tests {
			result = max(result, t(v))
		}
		return result
	}
}

// authors compiles from and except_from. They are about the authors whom readers
// see, and not the envelope sender: one of them must be meant. Where From cannot be
// read anybody may be.
func (c *compiler) authors(r *Rule) []condition {
	var all []condition
	add := func(key string, list []string, except bool) {
		if p := c.patterns(key, list); p != nil {
			all = append(all, condition{late: true, except: except, holds: func(v *view) answer {
				if len(v.facts.From) == 0 {
					return maybe
				}
				return is(slices.ContainsFunc(v.facts.From, p.Match))
			}})
		}
	}
	add("from", r.From, false)
	add("except_from", r.ExceptFrom, true)
	return all
}

// states compiles signed and encrypted.
func (c *compiler) states(r *Rule) []condition {
	var all []condition
	add := func(key, value string, state func(*Content) bool) {
		wanted := word(c, key, value, yesNo)
		if value != "" {
			all = append(all, condition{late: true, holds: func(v *view) answer { return is(state(&v.facts.Content) == wanted) }})
		}
	}
	add("signed", r.Signed, func(m *Content) bool { return m.Signed })
	add("encrypted", r.Encrypted, func(m *Content) bool { return m.Encrypted })
	return all
}

// numbers compiles the limits of size and of the number of recipients.
func (c *compiler) numbers(r *Rule) []condition {
	var all []condition
	add := func(key string, limit int, holds func(*view) bool) {
		if limit < 0 {
			c.problem(key, "%d is negative; remove it or write a positive number", limit)
		}
		if limit > 0 {
			all = append(all, condition{late: true, holds: func(v *view) answer { return is(holds(v)) }})
		}
	}
	add("larger_than", r.LargerThan, func(v *view) bool { return v.facts.Content.Size > r.LargerThan })
	add("smaller_than", r.SmallerThan, func(v *view) bool { return v.facts.Content.Size < r.SmallerThan })
	add("more_recipients", r.MoreRecipients, func(v *view) bool { return len(v.facts.Recipients)+v.facts.Others > r.MoreRecipients })
	add("fewer_recipients", r.FewerRecipients, func(v *view) bool { return len(v.facts.Recipients)+v.facts.Others < r.FewerRecipients })
	return all
}
