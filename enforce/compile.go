package enforce

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Policy is a compiled list of rules. It does not change and may be shared.
type Policy struct {
	rules     []*rule
	index     index
	groupless bool // no rule has a condition on groups
	// attachments says that some rule has a condition on them, header that one has one on
	// fields.
	attachments, header bool
	// fields are the names of those fields, in lower case.
	fields []string
	// checksReaders says that some rule looks for whom a message is encrypted that is
	// so already.
	checksReaders bool
}

// Problem is something wrong with a rule.
type Problem struct {
	// Table is the table of the file that it stands in: "rule", "inbound_rule" or
	// "entitlement".
	Table string
	Rule  string
	Line  int    // 0 if unknown
	Key   string // of the rule in the file; "" where it is the rule as a whole
	Text  string // what is wrong, and what to write instead
}

// Error names the rule, its line and the key.
func (p *Problem) Error() string {
	if p.Rule == "" && p.Line == 0 {
		return "rules: " + p.Text
	}
	where := p.Table
	if p.Rule != "" {
		where += fmt.Sprintf(" %q", p.Rule)
	}
	if p.Line > 0 {
		where = fmt.Sprintf("line %d: %s", p.Line, where)
	}
	if p.Key != "" {
		where += ": " + p.Key
	}
	return where + ": " + p.Text
}

// Compile compiles rules. The error joins all problems, each a *Problem. The
// last rule must be named DefaultRule, have no conditions and say sign and
// encrypt, so that every recipient is decided on by something that was written.
func Compile(rules []Rule) (*Policy, error) {
	c := compiler{names: make(map[string]int)}
	p := &Policy{}
	for i := range rules {
		p.rules = append(p.rules, c.rule(&rules[i], i == len(rules)-1))
	}
	if len(rules) == 0 {
		c.problem("", `there are none; write at least the last one, named "default"`)
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	p.index = newIndex(p.rules)
	p.checksReaders = slices.ContainsFunc(p.rules, func(r *rule) bool { return r.checkReaders })
	p.attachments, p.header, p.fields = c.attachments, c.header, distinct(c.fields)
	p.groupless = !slices.ContainsFunc(p.rules, func(r *rule) bool { return len(r.groups) > 0 })
	return p, nil
}

// LooksAtAttachments reports whether any rule asks for Content.Attachments, which are
// not needed otherwise.
func (p *Policy) LooksAtAttachments() bool { return p != nil && p.attachments }

// LooksAtGroups reports whether any rule asks who is in a group of the directory.
func (p *Policy) LooksAtGroups() bool { return p != nil && !p.groupless }

// LooksAtHeader reports whether any rule asks for Content.Header and Content.Unread, which
// are not needed otherwise.
func (p *Policy) LooksAtHeader() bool { return p != nil && p.header }

// Profiles returns the names of the profiles that rules use, each once.
func (p *Policy) Profiles() []string {
	names := make(map[string]struct{})
	for _, r := range p.rules {
		names[r.profile] = struct{}{}
	}
	return slices.Sorted(maps.Keys(names))
}

// compiler collects the problems of a list of rules.
type compiler struct {
	at       Problem        // where in the file the compiler is
	names    map[string]int // to the line of their rule
	problems []error
	// attachments says that a condition on them was compiled, header one on fields.
	attachments, header bool
	// fields are the names of the fields of these.
	fields []string
}

func (c *compiler) problem(key, format string, args ...any) {
	p := c.at
	p.Key, p.Text = key, fmt.Sprintf(format, args...)
	c.problems = append(c.problems, &p)
}

func (c *compiler) rule(in *Rule, last bool) *rule {
	c.at = Problem{Table: "rule", Rule: in.Name, Line: in.Line}
	r := &rule{
		name: in.Name, line: in.Line,
		direction:       word(c, "direction", in.Direction, directions),
		sender:          c.patterns("sender", in.Sender),
		exceptSender:    c.patterns("except_sender", in.ExceptSender),
		recipient:       c.patterns("recipient", in.Recipient),
		exceptRecipient: c.patterns("except_recipient", in.ExceptRecipient),
		conditions:      c.conditions(in),
		groups:          c.groupConditions(in),
		subjects:        foldedAll(in.Subject),
		fields:          fieldConditions(in.Header),
		unsure:          word(c, "group_unknown", in.GroupUnknown, unsures),
		sign:            word(c, "sign", in.Sign, wants),
		encrypt:         word(c, "encrypt", in.Encrypt, wants),
		missing:         word(c, "no_certificate", in.NoCertificate, onMissings),
		plain:           word(c, "unavailable", in.Unavailable, plains),
		mixed:           word(c, "mixed", in.Mixed, mixtures),
		agree:           word(c, "from_alignment", in.FromAlignment, agreements),
		automatic:       word(c, "automatic", in.Automatic, automatics),
		resign:          word(c, "already_signed", in.AlreadySigned, resigns),
		checkReaders:    word(c, "already_encrypted", in.AlreadyEncrypted, checks),
		calendar:        word(c, "calendar", in.Calendar, calendars),
		report:          word(c, "mode", in.Mode, modes),
		control:         c.control(in.UserControl),
		profile:         in.Profile,
		steps: steps{
			identity:          c.person("identity", in.Identity, "sender"),
			domainIdentity:    c.person("domain_identity", in.DomainIdentity, ""),
			issue:             in.Issue,
			domainCertificate: c.person("domain_certificate", in.DomainCertificate, ""),
			senderCopy:        in.SenderCopy,
			also:              c.people("also_encrypt_to", in.AlsoEncryptTo),
			tag:               c.tag(in.SubjectTag),
			footer:            c.footer(in),
		},
	}
	if r.profile == "" {
		r.profile = DefaultProfile
	}
	// A rule that changes nothing leaves a group where it is.
	r.expand = in.ExpandGroups && !r.report
	r.late = len(r.groups) > 0 || r.expand || slices.ContainsFunc(r.conditions, func(c condition) bool { return c.late })
	c.name(in.Name, in.Line)
	c.actions(in, r)
	c.place(in, r, last)
	return r
}

// name checks that rules can be distinguished.
func (c *compiler) name(name string, line int) {
	if name == "" {
		c.problem("name", "is missing; every rule needs a name for logs and replies")
		return
	}
	if earlier, ok := c.names[name]; ok {
		c.problem("name", "is used by an earlier rule too (line %d); choose another", earlier)
	}
	c.names[name] = line
}

// actions checks that the actions do not contradict each other.
func (c *compiler) actions(in *Rule, r *rule) {
	if in.Sign == "" && in.Encrypt == "" && (r.direction != Inbound || in.Profile == "") {
		c.problem("", `sets neither sign nor encrypt; write sign = "never" and encrypt = "never" if that is intended`)
	}
	mayRequire := r.encrypt == require || r.control.Encrypt || r.calendar == calendarEncrypt
	if in.NoCertificate != "" && !mayRequire {
		c.problem("no_certificate", `has an effect only with encrypt = "require"; remove it`)
	}
	if in.Unavailable != "" && r.encrypt != prefer {
		c.problem("unavailable", `has an effect only with encrypt = "prefer"; remove it`)
	}
	if r.encrypt == never && !mayRequire {
		for _, option := range []struct {
			key   string
			given bool
		}{
			{"mixed", in.Mixed != ""}, {"domain_certificate", in.DomainCertificate != ""},
			{"sender_copy", in.SenderCopy}, {"also_encrypt_to", in.AlsoEncryptTo != nil},
		} {
			if option.given {
				c.problem(option.key, "has an effect only in a rule that encrypts; remove it")
			}
		}
	}
	if in.Issue && r.sign == never && !r.control.Sign && r.calendar != calendarSign {
		c.problem("issue", "has an effect only in a rule that signs; remove it")
	}
	if in.DomainIdentity != "" && r.sign == never && !r.control.Sign && r.calendar != calendarSign {
		c.problem("domain_identity", "has an effect only in a rule that signs; remove it")
	}
	if in.DomainIdentity != "" && r.steps.identity != "" {
		c.problem("domain_identity", `replaces the identity of the sender; remove it, or write identity = "sender"`)
	}
	if in.Issue && r.steps.identity != "" {
		c.problem("issue", `issues identities to senders; remove it, or write identity = "sender"`)
	}
	if r.direction == Inbound && (r.sign != never || r.encrypt != never) {
		c.problem("direction", `inbound mail is not signed or encrypted; write "outbound"`)
	}
}

// place checks the order: the default last, and nothing that cannot be reached.
func (c *compiler) place(in *Rule, r *rule, last bool) {
	switch {
	case last && in.Name != DefaultRule:
		c.problem("name", `is the last rule and must be named "default": it applies to all recipients that no rule above matches; add a rule "default" at the end`)
	case last && !r.unconditional():
		c.problem("", "is the last rule and must have no conditions: it applies to all recipients that no rule above matches; remove them, or add a rule above it that has them")
	case last && (in.Sign == "" || in.Encrypt == ""):
		c.problem("", `is the last rule and must set both sign and encrypt; write "require", "prefer" or "never" for each`)
	case !last && r.unconditional():
		c.problem("", "matches every recipient, so the rules below it are never used; add a condition or move it to the end")
	}
}

func (c *compiler) patterns(key string, list []string) *Patterns {
	if list == nil {
		return nil
	}
	c.notEmpty(key, list)
	p, err := CompilePatterns(list)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			c.problem(key, "%s", line)
		}
	}
	return p
}

func (c *compiler) notEmpty(key string, list []string) {
	if len(list) == 0 {
		c.problem(key, "is an empty list, which never matches; remove it or add a pattern")
	}
}

// control reads user_control.
func (c *compiler) control(list []string) Triggers {
	var t Triggers
	for _, s := range list {
		switch s {
		case "sign":
			t.Sign = true
		case "encrypt":
			t.Encrypt = true
		case "plain":
			t.Plain = true
		default:
			c.problem("user_control", "%q is not known; write some of encrypt, plain, sign", s)
		}
	}
	return t
}

// person reads a value that is an address, OfDomain, or standard for none in
// particular.
func (c *compiler) person(key, value, standard string) string {
	if value == standard || value == "" {
		return ""
	}
	if value == OfDomain {
		return value
	}
	a, err := address.Parse(value)
	if err != nil || strings.ContainsAny(a.Local(), " \t") {
		c.problem(key, "%q is neither an address nor %q; write one of them", value, OfDomain)
		return ""
	}
	return a.Key(address.IgnoreCase)
}

// people reads a list of addresses.
func (c *compiler) people(key string, list []string) string {
	var keys []string
	for _, s := range list {
		a, err := address.Parse(s)
		if err != nil || strings.ContainsAny(a.Local(), " \t") {
			c.problem(key, "%q is not an address; write local@domain", s)
			continue
		}
		keys = append(keys, a.Key(address.IgnoreCase))
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), " ")
}

func (c *compiler) tag(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) || len(s) > maxTag {
		c.problem("subject_tag", "must be one line of at most %d octets; write a short text such as \"[secure]\"", maxTag)
	}
	return strings.TrimSpace(s)
}

// maxTag keeps a subject with its tag readable.
const maxTag = 60

// word looks a value up and reports one that is not known with those that are.
func word[T any](c *compiler, key, value string, known map[string]T) T {
	v, ok := known[value]
	if !ok {
		words := slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(s string) bool { return s == "" })
		c.problem(key, "%q is not known; write one of %s", value, strings.Join(words, ", "))
	}
	return v
}
