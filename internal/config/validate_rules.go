package config

import (
	"fmt"
	"maps"
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

// rules checks what only the rest of the file can tell: enforce.Compile knows
// what a rule means.
func (d *decoder) rules(c *Config) {
	for i, r := range c.Rules {
		key := index("rule", i)
		for list, patterns := range map[string][]string{"sender": r.Sender, "recipient": r.Recipient} {
			if len(patterns) == 0 {
				d.complain(join(key, list), "name somebody, or remove the line to mean everybody", "is an empty list, which matches nobody")
			}
		}
		if _, ok := c.Profiles[r.Profile]; !ok && r.Profile != "" {
			d.complain(join(key, "profile"), remedyForProfile(r.Profile, c), "there is no profile %q", r.Profile)
		}
	}
}

func remedyForProfile(name string, c *Config) string {
	known := slices.Sorted(maps.Keys(c.Profiles))
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "add [profile." + name + "], or use " + orList(known)
}
