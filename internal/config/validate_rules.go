package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

func (d *decoder) directories(ds []Directory) {
	names := seen{}
	for i, s := range ds {
		key := index("directory", i)
		d.unique(join(key, "name"), s.Name, names)
		for n, name := range s.Domains {
			d.domain(index(join(key, "domains"), n), strings.TrimPrefix(name, "."))
		}
		switch s.Type {
		case "files":
			if s.Path == "" {
				d.complain(join(key, "path"), "name the folder with the certificates", "is missing")
			}
		case "ldap":
			d.ldap(key, s)
		case "https":
			if s.URL == "" {
				d.complain(join(key, "url"), `write one such as "https://certs.example.com/{addr}"`, "is missing")
			}
			d.pair(key, "client_certificate", "client_key", s.ClientCert, s.ClientKey)
		case "smimea":
			if s.Resolver == "" {
				d.complain(join(key, "resolver"), `write one that validates, such as "127.0.0.1:53"`, "is missing")
			}
		}
	}
}

func (d *decoder) ldap(key string, s Directory) {
	if len(s.URLs) == 0 {
		d.complain(join(key, "urls"), `write a list such as ["ldaps://ldap.example.com"]`, "is missing")
	}
	if !strings.Contains(s.Filter, "{addr}") && !strings.Contains(s.Filter, "{local}") {
		d.complain(join(key, "filter"), "add {addr} in place of the address", "does not contain the recipient")
	}
	if len(s.Attributes) == 0 {
		d.complain(join(key, "attributes"), `write a list such as ["userCertificate"]`, "is empty")
	}
	if s.BindDN != "" && s.PasswordFile == "" {
		d.complain(join(key, "password_file"), "name a file with the password of bind_dn", "is missing")
	}
	d.pair(key, "client_certificate", "client_key", s.ClientCert, s.ClientKey)
	if s.UserFilter != "" && !strings.Contains(s.UserFilter, "{user}") {
		d.complain(join(key, "user_filter"), `write one such as "(sAMAccountName={user})"`, "does not contain the user")
	}
	if len(s.UserAddresses) == 0 {
		d.complain(join(key, "user_addresses"), `write a list such as ["mail"]`, "is empty")
	}
}

// pair complains of two options that need each other when one is missing.
func (d *decoder) pair(key, first, second, a, b string) {
	if (a == "") != (b == "") {
		d.complain(join(key, first), fmt.Sprintf("give both %s and %s, or neither", first, second), "one of the two is missing")
	}
}

// rules checks what only the rest of the file can tell: enforce.Compile knows
// what a rule means.
func (d *decoder) rules(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		if p := c.Profiles[name]; p.Wrap == "message" && (p.ProtectSigned || p.ProtectEncrypted) {
			d.complain(join(join("profile", name), "wrap"), "use either wrap, or protect_signed and protect_encrypted", `"message" and another protection of the header are both set`)
		}
	}
	for i, e := range c.Entitled {
		d.conditions(index("entitlement", i), reflect.ValueOf(e))
		d.listed(c, join(index("entitlement", i), "from"), e.From)
	}
	for i, p := range c.Partners {
		d.profile(c, join(index("partner", i), "profile"), p.Profile)
		d.profile(c, join(index("partner", i), "minimum"), p.Minimum)
	}
	for i, r := range c.Rules {
		key := index("rule", i)
		d.conditions(key, reflect.ValueOf(r))
		if r.Issue && c.CA.URL == "" && len(c.Enrolments) == 0 {
			d.complain(join(key, "issue"), "set up [ca] first, with url and smimerelay ca init, or an [[enrolment]]", "there is no CA")
		}
		d.groups(c, key, r)
		d.profile(c, join(key, "profile"), r.Profile)
	}
}

// profile refuses the name of a profile that does not exist; "" is none.
func (d *decoder) profile(c *Config, key, name string) {
	if _, ok := c.Profiles[name]; !ok && name != "" {
		d.complain(key, remedyForProfile(name, c), "there is no profile %q", name)
	}
}

// conditions refuses an empty condition: it may have lost its last entry, and
// must not come to mean everybody by that.
func (d *decoder) conditions(path string, v reflect.Value) {
	for f, fv := range v.Fields() {
		doc, key := f.Tag.Get("doc"), f.Tag.Get("toml")
		if strings.HasPrefix(doc, "condition:") && !strings.HasPrefix(key, "except_") && fv.Kind() == reflect.Slice && !fv.IsNil() && fv.Len() == 0 {
			d.complain(join(path, key), "add a pattern, or remove the line to match all", "is an empty list, which matches nothing")
		}
	}
}

func remedyForProfile(name string, c *Config) string {
	known := slices.Sorted(maps.Keys(c.Profiles))
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "add [profile." + name + "], or use " + orList(known)
}
