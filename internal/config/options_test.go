package config

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	c, problems := Parse("config.toml", []byte("hostname = \"gw.example.org\"\n[limits]\nconnections = 7\n[[rule]]\nname = \"partners\"\nrecipient = [\"@example.net\"]\nencrypt = \"require\"\n[[rule]]\nname = \"default\"\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	byKey := map[string]Option{}
	for _, o := range c.Options() {
		if _, twice := byKey[o.Key]; twice || o.Value == "" || o.Doc == "" {
			t.Errorf("option %+v", o)
		}
		byKey[o.Key] = o
	}
	for key, want := range map[string]Option{
		"hostname":                {Value: `"gw.example.org"`, Default: `""`, Line: 1},
		"limits.connections":      {Value: "7", Default: "200", Line: 3},
		"limits.recipients":       {Value: "1000", Default: "1000"},
		"rule[0].recipient":       {Value: `["@example.net"]`, Line: 6, Table: 4},
		"rule[1].name":            {Value: `"default"`, Line: 9, Table: 8},
		"profile.pqc.digest":      {Value: `"sha-512"`, Default: `"sha-512"`},
		"console.session_idle":    {Value: `"30m"`, Default: `"30m"`},
		"directory[0].attributes": {Value: `["userSMIMECertificate", "userCertificate"]`},
		"store.url":               {Value: `"/var/lib/smimerelay/store.db"`, Default: `"/var/lib/smimerelay/store.db"`},
		"expiry.warn_before":      {Value: `["30d", "7d", "1d"]`, Default: `["30d", "7d", "1d"]`},
		"console.address":         {Value: `""`, Default: `""`},
	} {
		got := byKey[key]
		if got.Value != want.Value || got.Default != want.Default || got.Line != want.Line || got.Table != want.Table {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

// TestOptionsHaveNoSecrets: who may see the configuration need not know what opens a database, a
// service or the gateway itself.
func TestOptionsHaveNoSecrets(t *testing.T) {
	c, _ := Parse("config.toml", []byte(`
[store]
url = "postgres://gateway:SECRET1@db.example.org/smimerelay?sslmode=require&password=SECRET2&sslpassword=SECRET3"
[identities]
tokens = ["pkcs11:token=hsm?module-path=/usr/lib/hsm.so&pin-value=SECRET4"]
[[listener]]
name = "in"
required_header = "X-Gateway-Key: SECRET5"
[[directory]]
name = "a"
type = "https"
url = "https://certs.example.org/by?key=SECRET6&mail={addr}"
[[directory]]
name = "b"
type = "https"
url = "https://SECRET7@certs.example.org/{addr}?SECRET8"
[[directory]]
name = "c"
type = "ldap"
urls = ["ldaps://ldap.example.org", "ldaps://cn=x:SECRET9@ldap.example.org"]
[[enrolment]]
name = "people"
command = ["/usr/local/bin/order", "--key=SECRET10"]
[[route]]
name = "out"
token_command = ["/usr/local/bin/token", "SECRET11"]
`))
	all := map[string]string{}
	for _, o := range c.Options() {
		all[o.Key] = o.Value
		if strings.Contains(o.Value, "SECRET") {
			t.Errorf("%s = %s", o.Key, o.Value)
		}
	}
	for key, want := range map[string]string{
		"store.url":                   `"postgres://gateway:…@db.example.org/smimerelay?sslmode=require&password=…&sslpassword=…"`,
		"identities.tokens":           `["pkcs11:token=hsm?module-path=/usr/lib/hsm.so&pin-value=…"]`,
		"listener[0].required_header": `"X-Gateway-Key: …"`,
		"directory[0].url":            `"https://certs.example.org/by?key=…&mail={addr}"`,
		"directory[1].url":            `"https://…@certs.example.org/{addr}?…"`,
		"directory[2].urls":           `["ldaps://ldap.example.org", "ldaps://cn=x:…@ldap.example.org"]`,
		"enrolment[0].command":        `["/usr/local/bin/order", "…"]`,
		"route[0].token_command":      `["/usr/local/bin/token", "…"]`,
	} {
		if all[key] != want {
			t.Errorf("%s = %s, want %s", key, all[key], want)
		}
	}
}
