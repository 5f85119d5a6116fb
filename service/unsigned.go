package service

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/smime/address"
)

// howToIdentify is the remedy where there is no identity.
const howToIdentify = "import it with smimerelay cert import, issue it with smimerelay cert issue, or have it ordered: [[enrolment]], and issue = true in the rule"

// unsigned warns of rules that sign for local senders of whom no one has an identity.
func (p *Parts) unsigned(h Holdings) config.Problems {
	var ws config.Problems
	for i := range p.Config.Rules {
		r := &p.Config.Rules[i]
		if r.Sign != "require" && r.Sign != "prefer" || r.Direction == "inbound" || r.Issue {
			continue
		}
		if missing := p.unidentified(i, h); len(missing) > 0 {
			what := "mail from there is sent unsigned"
			if r.Sign == "require" {
				what = "mail from there is deferred"
			}
			ws = append(ws, p.Config.Problem(key("rule", i, "sign"),
				fmt.Sprintf("the rule %q signs, and there is no identity for %s: %s", r.Name, some(missing), what), howToIdentify))
		}
	}
	return ws
}

// unidentified are the local domains and addresses for which a rule signs and there is no
// identity that could.
func (p *Parts) unidentified(rule int, h Holdings) []string {
	r := &p.Config.Rules[rule]
	if p.hasIdentity(r.DomainIdentity, h) {
		return nil // it signs for those who have none
	}
	if r.Identity != "" && r.Identity != "sender" && r.Identity != "domain" {
		if p.hasIdentity(r.Identity, h) {
			return nil
		}
		return []string{r.Identity}
	}
	var missing []string
	for _, domain := range p.Gateway.Domains {
		switch {
		case strings.HasPrefix(domain, "."):
			continue // which of them there are is not known
		case r.Identity == "domain":
			domain = domainSigner + domain
		case named(r.Sender):
			missing = append(missing, p.missingSenders(r.Sender, domain, h)...)
			continue
		case p.ordered(domain):
			continue
		}
		if !p.hasIdentity(domain, h) {
			missing = append(missing, domain)
		}
	}
	return slices.DeleteFunc(missing, func(who string) bool { return !p.meets(who, rule) })
}

// meets reports whether mail of a local domain or address may come to a rule: neither does it except
// them, or is for others or for a group of which it is not known who is in it, nor does a rule
// before it decide on all their mail.
func (p *Parts) meets(who string, rule int) bool {
	r := &p.Config.Rules[rule]
	if mailboxCovered(who, r.ExceptSender) || mailboxCovered(who, r.ExceptFrom) || named(r.SenderGroup) {
		return false
	}
	domain := who[strings.LastIndexByte(who, '@')+1:]
	about := func(author string) bool {
		return strings.ContainsAny(author, "*?:") || strings.HasPrefix(author, ".") || strings.EqualFold(author[strings.LastIndexByte(author, '@')+1:], domain)
	}
	if named(r.From) && !slices.ContainsFunc(r.From, about) {
		return false
	}
	return !slices.ContainsFunc(p.Config.Rules[:rule], func(before config.Rule) bool { return decidesAll(&before, who) })
}

// decidesAll reports whether a rule is for all that a local domain or address sends.
func decidesAll(r *config.Rule, who string) bool {
	if r.ExpandGroups {
		return false // of the members others decide
	}
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		name, condition := v.Type().Field(i).Name, strings.HasPrefix(v.Type().Field(i).Tag.Get("doc"), "condition:")
		list, isList := v.Field(i).Interface().([]string)
		switch {
		case !condition:
		case name == "Direction" && r.Direction != "inbound":
		case (name == "Sender" || name == "From") && (!named(list) || mailboxCovered(who, list)):
		case isList && !named(list), !isList && v.Field(i).IsZero():
		default:
			return false
		}
	}
	return true
}

// domainSigner is the local part of who signs for a domain (RFC 3183 section 3.1.1).
const domainSigner = "domain-signing-authority@"

// missingSenders are those of a condition that name a local domain, or an address in it, and
// have no identity. Of patterns it is not known whom they mean.
func (p *Parts) missingSenders(senders []string, domain string, h Holdings) []string {
	var missing []string
	for _, s := range senders {
		if strings.ContainsAny(s, "*?:") || strings.HasPrefix(s, ".") || !strings.EqualFold(s[strings.LastIndexByte(s, '@')+1:], domain) {
			continue
		}
		if !p.hasIdentity(s, h) && !p.ordered(s) {
			missing = append(missing, s)
		}
	}
	return missing
}

// hasIdentity reports whether there is one for an address, or for some address of a domain.
func (p *Parts) hasIdentity(who string, h Holdings) bool {
	if !strings.Contains(who, "@") {
		a, err := address.Parse("x@" + who)
		return err == nil && h.Signing[a.Domain()]
	}
	a, err := address.Parse(who)
	return err == nil && h.Signing[a.Key(p.store.place.localPart)]
}

// ordered reports whether an enrolment orders certificates for an address, or in a domain,
// without mail.
func (p *Parts) ordered(who string) bool {
	return slices.ContainsFunc(p.Config.Enrolments, func(e config.Enrolment) bool {
		return e.On == "always" && slices.ContainsFunc(e.Addresses, func(a string) bool {
			return strings.EqualFold(a, who) || strings.HasSuffix(strings.ToLower(a), "@"+strings.ToLower(who))
		})
	})
}

// some lists the first of many.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
