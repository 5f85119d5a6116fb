package config

import (
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// OpenID is the section [openid].
type OpenID struct {
	Issuer     string   `toml:"issuer" doc:"URL of the OpenID Connect provider, as it is in its tokens, such as \"https://login.example.com/realms/company\"; empty turns this off"`
	ClientID   string   `toml:"client_id" doc:"name under which the provider knows the console, whose redirect URI there is console.url with /sign-in/openid/callback"`
	SecretFile string   `toml:"client_secret_file" doc:"file with the secret of the client; it is read for each sign-in" path:"file" secret:"yes"`
	CA         string   `toml:"ca" doc:"PEM file with the CA certificates trusted for the provider's TLS certificate; empty uses those of the system" path:"file"`
	Scopes     []string `toml:"scopes" doc:"scopes that are asked for, besides openid"`
	NameClaim  string   `toml:"name_claim" doc:"claim of the ID token with the name of the account; email must be verified (email_verified), for providers that do not say so use preferred_username"`
	RoleClaim  string   `toml:"role_claim" doc:"claim of the ID token with the words that give a role, a string or a list; dots lead into objects, as in \"realm_access.roles\""`

	Viewer        []string `toml:"viewer" doc:"words that give the role viewer, such as names of groups; without a word of any role there is no entry, and with several the role that may do most counts"`
	Operator      []string `toml:"operator" doc:"words that give the role operator"`
	Administrator []string `toml:"administrator" doc:"words that give the role administrator"`
}

func defaultOpenID() OpenID {
	return OpenID{
		Scopes: []string{"profile", "email"}, NameClaim: "email", RoleClaim: "groups",
		Viewer: []string{}, Operator: []string{}, Administrator: []string{},
	}
}

// OpenIDPath is where the provider sends browsers back to, below the address of the console.
const OpenIDPath = "/sign-in/openid/callback"

// openID checks that the provider can be asked, and that a role can come of it.
func (d *decoder) openID(o OpenID, c Console) {
	if o.Issuer == "" {
		if !reflect.DeepEqual(o, defaultOpenID()) {
			d.complain("openid.issuer", "set it to the URL of the provider, or remove [openid]", "is missing")
		}
		return
	}
	d.issuer(o.Issuer)
	if c.Address == "" {
		d.complain("openid.issuer", "set console.address, or remove [openid]", "there is no console to sign in to")
	} else if !c.hasRoot() {
		d.complain("console.url", `write where browsers find the console, such as "https://console.example.com"`, "is missing: the OpenID Connect provider sends browsers back to it")
	}
	for key, value := range map[string]string{"client_id": o.ClientID, "client_secret_file": o.SecretFile, "name_claim": o.NameClaim, "role_claim": o.RoleClaim} {
		if value == "" {
			d.complain("openid."+key, "set it, as the provider has it", "is missing")
		}
	}
	for i, scope := range o.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\"\\") {
			d.complain(index("openid.scopes", i), `write one scope, such as "email"`, "%q is not a scope", scope)
		}
	}
	d.openIDRoles(o)
}

// issuer checks the URL of a provider (OpenID Connect Core section 2).
func (d *decoder) issuer(text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		d.complain("openid.issuer", `write one such as "https://login.example.com/realms/company"`, "%q is not the URL of a provider", Redact(text))
	case strings.HasSuffix(u.Path, "/.well-known/openid-configuration"):
		d.complain("openid.issuer", "remove /.well-known/openid-configuration", "is the address of the provider's description")
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		d.complain("openid.issuer", "write https://", "anyone on the way could sign in as anyone")
	}
}

// openIDRoles checks that words give roles, and each of them one.
func (d *decoder) openIDRoles(o OpenID) {
	var seen []string
	for _, role := range []struct {
		key   string
		words []string
	}{{"openid.viewer", o.Viewer}, {"openid.operator", o.Operator}, {"openid.administrator", o.Administrator}} {
		for i, word := range role.words {
			switch {
			case word == "":
				d.complain(index(role.key, i), "write a word of role_claim", "is empty")
			case slices.Contains(seen, word):
				d.complain(index(role.key, i), "leave it where it is meant", "%q gives another role already", word)
			}
			seen = append(seen, word)
		}
	}
	if len(seen) == 0 {
		d.complain("openid.administrator", "list the words of role_claim that give a role, in viewer, operator or administrator", "no one would have a role")
	}
}

// hasRoot reports whether Root is an address that a browser can use.
func (c Console) hasRoot() bool {
	u, err := url.Parse(c.Root())
	if err != nil {
		return false
	}
	host := u.Hostname()
	return host != "" && host != unknownHost && !net.ParseIP(host).IsUnspecified()
}
