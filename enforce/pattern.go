package enforce

import (
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Patterns is a compiled list of address patterns. A pattern is an address
// ("bob@example.net"), a domain ("example.net"), its subdomains
// (".example.net"), a glob over either ("sales-*@example.net", "*.example.net";
// "*" alone is everybody), or "<>" for the null reverse-path. In a glob "*"
// stands for any run of characters and "?" for one, on its own side of the "@".
// Local parts compare without regard to case, whatever the configured rule: a
// rule that protects bob must not be evaded by writing Bob.
type Patterns struct {
	null      bool
	addresses map[string]struct{} // by address.Key(IgnoreCase)
	domains   map[string]struct{} // A-labels
	above     map[string]struct{} // of ".example.net", without the dot
	globs     []glob
}

// glob is a pattern with wildcards; an empty local matches every local part.
type glob struct{ local, domain string }

// CompilePatterns compiles list. The error joins what is wrong with each
// pattern.
func CompilePatterns(list []string) (*Patterns, error) {
	p := &Patterns{}
	var errs []error
	for _, s := range list {
		if err := p.add(s); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", s, err))
		}
	}
	return p, errors.Join(errs...)
}

// Match reports whether a matches any of the patterns.
func (p *Patterns) Match(a address.Address) bool { return p.match(newMailbox(a)) }

// mailbox is an address with the forms in which it is compared.
type mailbox struct {
	address     address.Address
	key, domain string
}

func newMailbox(a address.Address) mailbox {
	return mailbox{address: a, key: a.Key(address.IgnoreCase), domain: a.Domain()}
}

// parents calls f for each domain above that of m until f returns true.
func (m mailbox) parents(f func(string) bool) bool {
	for _, rest, ok := strings.Cut(m.domain, "."); ok; _, rest, ok = strings.Cut(rest, ".") {
		if f(rest) {
			return true
		}
	}
	return false
}

func (p *Patterns) match(m mailbox) bool {
	if m.address.IsNull() {
		return p.null
	}
	if has(p.domains, m.domain) || has(p.addresses, m.key) {
		return true
	}
	if len(p.above) > 0 && m.parents(func(d string) bool { return has(p.above, d) }) {
		return true
	}
	for _, g := range p.globs {
		if g.match(m.address) {
			return true
		}
	}
	return false
}

// holds is match for a condition: no patterns are no condition.
func (p *Patterns) holds(m mailbox) bool { return p == nil || p.match(m) }

// excepts is match for an exception.
func (p *Patterns) excepts(m mailbox) bool { return p != nil && p.match(m) }

func has(set map[string]struct{}, key string) bool {
	_, ok := set[key]
	return ok
}

func (p *Patterns) add(s string) error {
	switch {
	case s == "":
		return errors.New(`empty pattern; "*" matches all`)
	case s == "<>":
		p.null = true
		return nil
	case strings.HasPrefix(s, "@"):
		return errors.New(`begins with "@"; write the domain without it`)
	case !strings.HasPrefix(s, `"`) && strings.ContainsAny(s, "*?"):
		return p.addGlob(s)
	case strings.Contains(s, "@"):
		a, err := address.Parse(s)
		if err != nil {
			return fmt.Errorf("%w; write local@domain, a domain, or a glob", err)
		}
		put(&p.addresses, a.Key(address.IgnoreCase))
		return nil
	}
	name, sub := strings.CutPrefix(s, ".")
	domain, err := domainASCII(name)
	if err != nil {
		return err
	}
	if sub {
		put(&p.above, domain)
	} else {
		put(&p.domains, domain)
	}
	return nil
}

func put(set *map[string]struct{}, key string) {
	if *set == nil {
		*set = make(map[string]struct{})
	}
	(*set)[key] = struct{}{}
}

// domainASCII returns the form in which address.Address.Domain gives a domain.
func domainASCII(name string) (string, error) {
	a, err := address.Parse("x@" + name)
	if err != nil {
		return "", errors.New(`neither an address, a domain, ".domain" nor a glob; write one of them, and each as an item of its own`)
	}
	return a.Domain(), nil
}

func (p *Patterns) addGlob(s string) error {
	local, domain, ok := strings.Cut(strings.ToLower(s), "@")
	if !ok {
		local, domain = "", local
	} else if local == "" {
		return errors.New("nothing before the @")
	}
	if domain == "" || strings.ContainsAny(domain, "@ \t") || strings.ContainsAny(local, "\" \t") {
		return errors.New(`not a glob over an address or a domain; write one such as "*@example.net" or "info*@example.net"`)
	}
	if !strings.ContainsAny(domain, "*?") {
		ascii, err := domainASCII(domain)
		if err != nil {
			return err
		}
		domain = ascii
	}
	p.globs = append(p.globs, glob{local: local, domain: domain})
	return nil
}

// match compares each side of the "@" on its own, so that no quoted local part
// can pose as a domain.
func (g glob) match(a address.Address) bool {
	return Wildcard(g.domain, a.Domain()) &&
		(g.local == "" || Wildcard(g.local, strings.ToLower(a.Local())))
}

// Wildcard matches s against a pattern of literal characters, "*" and "?", in
// time proportional to the product of their lengths at worst.
func Wildcard(pattern, s string) bool {
	star, mark, i, j := -1, 0, 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
