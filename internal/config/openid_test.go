package config

import (
	"strings"
	"testing"
)

// TestOpenIDMistakes: what is wrong with [openid] is found without the provider, and said with
// what to do.
func TestOpenIDMistakes(t *testing.T) {
	const good = "[console]\naddress = \"127.0.0.1:8443\"\n[openid]\nissuer = \"https://login.example.com/realms/x\"\nclient_id = \"console\"\nclient_secret_file = \"config.go\"\nadministrator = [\"admins\"]\n"
	for _, c := range []struct{ old, replacement, want string }{
		{"", "", ""},
		{"127.0.0.1:8443", "unix:/run/console.sock", "console.url"},
		{"address = \"127.0.0.1:8443\"", "address = \"0.0.0.0:8443\"\ntls_certificate = \"config.toml\"\ntls_key = \"config.toml\"", "console.url"},
		{"address = \"127.0.0.1:8443\"", "address = \"unix:/run/console.sock\"\nurl = \"https://console.example.com\"", ""},
		{"address = \"127.0.0.1:8443\"", "", "there is no console"},
		{"issuer = \"https://login.example.com/realms/x\"", "", "openid.issuer: is missing"},
		{"https://login.example.com/realms/x", "login.example.com", "is not the URL of a provider"},
		{"https://login.example.com/realms/x", "https://me:secret@login.example.com/", "is not the URL of a provider"},
		{"https://login.example.com/realms/x", "https://login.example.com/?tenant=1", "is not the URL of a provider"},
		{"https://login.example.com/realms/x", "https://login.example.com/.well-known/openid-configuration", "remove /.well-known"},
		{"https://login.example.com/realms/x", "http://login.example.com/", "write https://"},
		{"https://login.example.com/realms/x", "http://127.0.0.1:8080/", ""},
		{"client_id = \"console\"", "", "openid.client_id: is missing"},
		{"client_secret_file = \"config.go\"", "", "openid.client_secret_file: is missing"},
		{"administrator = [\"admins\"]", "", "no one would have a role"},
		{"administrator = [\"admins\"]", "viewer = [\"admins\"]\nadministrator = [\"admins\"]", "gives another role already"},
		{"administrator = [\"admins\"]", "administrator = [\"\"]", "is empty"},
		{"administrator = [\"admins\"]", "administrator = [\"admins\"]\nscopes = [\"email profile\"]", "is not a scope"},
		{"administrator = [\"admins\"]", "administrator = [\"admins\"]\nname_claim = \"\"", "openid.name_claim: is missing"},
		{"administrator = [\"admins\"]", "admin = [\"admins\"]", "unknown key"},
	} {
		text := strings.Replace(good, c.old, c.replacement, 1)
		_, problems := Parse("config.toml", []byte(text))
		found := ""
		for _, p := range problems {
			if strings.HasPrefix(p.Key, "openid") || strings.HasPrefix(p.Key, "console.url") {
				found += p.String() + "\n"
			}
		}
		if (c.want == "") != (found == "") || !strings.Contains(found, c.want) || strings.Contains(found, "secret@") {
			t.Errorf("%q for %q: %s", c.replacement, c.old, found)
		}
	}
}
