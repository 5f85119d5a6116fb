package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

func (d *decoder) directories(ds []Directory) {
	names := seen{}
	for i, s := range ds {
		key := index("directory", i)
		d.unique(join(key, "name"), s.Name, names)
		d.domains(join(key, "domains"), s.Domains)
		switch s.Type {
		case "files":
			if s.Path == "" {
				d.complain(join(key, "path"), "name the folder with the certificates", "is missing")
			}
		case "ldap":
			d.ldap(key, s)
		}
	}
}

func (d *decoder) ldap(key string, s Directory) {
	if len(s.URLs) == 0 {
		d.complain(join(key, "urls"), `write a list such as ["ldaps://ldap.example.com"]`, "is missing")
	}
	for i, u := range s.URLs {
		d.ldapURL(index(join(key, "urls"), i), u)
	}
	if !strings.Contains(s.Filter, "{addr}") {
		d.complain(join(key, "filter"), "put {addr} where the address belongs", "does not contain {addr}")
	}
	if strings.Count(s.Filter, "(") != strings.Count(s.Filter, ")") || !strings.HasPrefix(s.Filter, "(") {
		d.complain(join(key, "filter"), "write it in balanced brackets, such as (mail={addr})", "%q is not a filter", s.Filter)
	}
	if len(s.Attributes) == 0 {
		d.complain(join(key, "attributes"), `write a list such as ["userCertificate"]`, "is empty")
	}
	if s.BindDN != "" && s.PasswordFile == "" {
		d.complain(join(key, "password_file"), "name a file with the password of bind_dn", "is missing")
	}
}

func (d *decoder) ldapURL(key, text string) {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"ldap", "ldaps", "ldapi"}, u.Scheme) || (u.Host == "" && u.Scheme != "ldapi") {
		d.complain(key, `write "ldaps://host", "ldap://host:389" or "ldapi:///path"`, "%q is not an LDAP address", text)
	}
}

// rules checks what can be told without compiling them: enforce.Compile knows
// what the patterns mean.
func (d *decoder) rules(c *Config) {
	names := seen{}
	for i, r := range c.Rules {
		key := index("rule", i)
		d.unique(join(key, "name"), r.Name, names)
		if _, ok := c.Profiles[r.Profile]; !ok {
			known := profileNames(c)
			remedy := "add [profile." + r.Profile + "], or use one of " + orList(known)
			if near := nearest(r.Profile, known); near != "" {
				remedy = fmt.Sprintf("did you mean %q?", near)
			}
			d.complain(join(key, "profile"), remedy, "there is no profile %q", r.Profile)
		}
		if last := i == len(c.Rules)-1; !last && r.unconditional() {
			d.complain(key, "move it to the end, or give it conditions", "it matches everything: the rules below it never apply")
		}
	}
	d.lastRule(c.Rules)
}

// lastRule makes sure that no recipient is left without a rule.
func (d *decoder) lastRule(rules []Rule) {
	const remedy = `add a last [[rule]] with name = "default", sign and encrypt, and no conditions`
	if len(rules) == 0 {
		d.complain("rule", remedy, "there is none")
		return
	}
	last := len(rules) - 1
	switch key := index("rule", last); {
	case rules[last].Name != "default":
		d.complain(key, remedy, "the last rule is %q: a recipient may be left without a rule", rules[last].Name)
	case !rules[last].unconditional():
		d.complain(key, "take its conditions away, or move them to a rule above", "the last rule must match every recipient")
	}
}

func (r Rule) unconditional() bool {
	return r.Direction == "" && len(r.Sender)+len(r.ExceptSender)+len(r.Recipient)+len(r.ExceptRecipient) == 0
}

func profileNames(c *Config) []string {
	names := make([]string, 0, len(c.Profiles))
	for name := range c.Profiles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
