package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Enrolment is one [[enrolment]].
type Enrolment struct {
	Name      string   `toml:"name" doc:"name in smimerelay enrol, in the log and in explanations" required:"yes"`
	From      string   `toml:"from" doc:"where the certificates come from: ca is the built-in CA, est a server that speaks EST (RFC 7030), command a program that talks to any other CA, folder a folder into which identities are put (docs/enrolment.md)" enum:"ca,est,command,folder" required:"yes"`
	Addresses []string `toml:"addresses" doc:"for whom: address, domain, .subdomains or glob, or file:PATH; the first table that is for an address decides. Empty, with groups empty too, is all local addresses"`
	Groups    []string `toml:"groups" doc:"or for the members of these groups of a [[directory]] of type ldap, named by mail address or distinguished name"`
	On        string   `toml:"on" doc:"when a certificate is ordered: first-mail with the first message of a sender that a rule with issue = true signs, and renewed by a later one; always at once, and renewed without mail, for addresses that are written in full" enum:"first-mail,always"`
	Command   []string `toml:"command" doc:"command: the program, with its path, and its arguments"`

	URL        string `toml:"url" doc:"est: base URL of the server, such as https://ca.example.com/.well-known/est"`
	CA         string `toml:"ca" doc:"est: PEM file with the CA certificates trusted for the server's TLS certificate; empty uses those of the system" path:"file"`
	ClientCert string `toml:"client_certificate" doc:"est: PEM file with the certificate chain by which the gateway authenticates; empty renews with the certificate that is renewed" path:"file"`
	ClientKey  string `toml:"client_key" doc:"est: PEM file with the private key of client_certificate" path:"file" secret:"yes"`
	User       string `toml:"user" doc:"est: user name for HTTP authentication"`
	Password   string `toml:"password_file" doc:"est: file with the password of user; folder: file with the password of identities that have no NAME.password beside them" path:"file" secret:"yes"`
	Folder     string `toml:"folder" doc:"folder: where identities are put, as PKCS #12 or PEM; the files are read and left there" path:"any"`

	Timeout      time.Duration `toml:"timeout" doc:"how long one request may take" min:"1s"`
	KeyType      string        `toml:"key_type" doc:"type of the keys, as in [ca]; ml-dsa-44, -65 and -87 only with the built-in CA" enum:"auto,p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87"`
	SeparateKeys bool          `toml:"separate_keys" doc:"order two certificates with separate keys: one for signing, one for encryption"`
	RenewBefore  time.Duration `toml:"renew_before" doc:"how long before expiry a certificate is replaced, at most half of its life; the new one signs when it is there, the old one is still used to decrypt" min:"1h"`
	MaxPerHour   int           `toml:"max_per_hour" doc:"maximum number of certificates that are ordered per hour, so that a flood of senders cannot order any number" min:"1"`
}

// Sources of certificates.
const (
	EnrolCA      = "ca"
	EnrolCommand = "command"
	EnrolEST     = "est"
	EnrolFolder  = "folder"
)

// OnAlways is the value of on that orders without mail.
const OnAlways = "always"

func newEnrolment() Enrolment {
	return Enrolment{
		Addresses: []string{}, Groups: []string{}, On: "first-mail", Command: []string{},
		Timeout: 30 * time.Second, KeyType: "p256", RenewBefore: 30 * day, MaxPerHour: 20,
	}
}

// enrolments checks [[enrolment]].
func (d *decoder) enrolments(c *Config) {
	var names []string
	for i := range c.Enrolments {
		e, key := &c.Enrolments[i], index("enrolment", i)
		if slices.Contains(names, e.Name) {
			d.complain(join(key, "name"), "give each table a name of its own", "%q is the name of another table", e.Name)
		}
		names = append(names, e.Name)
		d.enrolmentFor(c, key, e)
		d.enrolmentFrom(c, key, e)
	}
	if len(c.Enrolments) > 0 && (c.Store.URL == "" || c.Store.KeyFile == "" && !c.Store.Shared()) {
		d.complain("store.url", "set store.url and store.key_file", "[[enrolment]] needs a store that keeps private keys")
	}
}

// enrolmentFor checks for whom a table is.
func (d *decoder) enrolmentFor(c *Config, key string, e *Enrolment) {
	ldap := slices.ContainsFunc(c.Directory, func(t Directory) bool { return t.Type == "ldap" })
	if len(e.Groups) > 0 && !ldap {
		d.complain(join(key, "groups"), "add a [[directory]] of type ldap", "no directory knows groups")
	}
	if e.On != OnAlways {
		return
	}
	if len(e.Groups) > 0 || len(e.Addresses) == 0 {
		d.complain(join(key, "on"), `list them in addresses, or write on = "first-mail"`, `"always" needs addresses that are written in full`)
	}
	for i, text := range e.Addresses {
		if _, err := address.Parse(text); err != nil || strings.ContainsAny(text, "*?") {
			d.complain(index(join(key, "addresses"), i), `write local@domain, or on = "first-mail"`, "%q is not one address", text)
		}
	}
}

// enrolmentFrom checks what each source needs, and that nothing is given that it has not.
func (d *decoder) enrolmentFrom(c *Config, key string, e *Enrolment) {
	if e.From == EnrolCA && c.CA.URL == "" {
		d.complain(join(key, "from"), "set up [ca] first, with url and smimerelay ca init", "there is no CA")
	}
	if e.From != EnrolCA && strings.HasPrefix(e.KeyType, "ml-dsa") {
		d.complain(join(key, "key_type"), "choose p256 or rsa3072", "%q: only the built-in CA issues for such keys", e.KeyType)
	}
	d.enrolmentEST(key, e)
	if (e.From == EnrolFolder) != (e.Folder != "") {
		d.complain(join(key, "folder"), `give it with from = "folder", and only then`, "does not go with from = %q", e.From)
	}
	if e.From == EnrolFolder && (len(e.Addresses) > 0 || len(e.Groups) > 0) {
		d.complain(join(key, "addresses"), "remove addresses and groups", "a folder is for the addresses of the identities in it")
	}
	switch {
	case (e.From == EnrolCommand) != (len(e.Command) > 0):
		d.complain(join(key, "command"), `give it with from = "command", and only then`, "does not go with from = %q", e.From)
	case len(e.Command) > 0 && !filepath.IsAbs(e.Command[0]):
		d.complain(join(key, "command"), "write the program with its path", "%q is not an absolute path", e.Command[0])
	}
}

// enrolmentEST checks what a server needs. Requests hold passwords, and answers decide about
// keys: so there is no plain http.
func (d *decoder) enrolmentEST(key string, e *Enrolment) {
	d.pair(key, "client_certificate", "client_key", e.ClientCert, e.ClientKey)
	if e.From != EnrolEST {
		if e.URL != "" {
			d.complain(join(key, "url"), `give it with from = "est", and only then`, "does not go with from = %q", e.From)
		}
		return
	}
	if u, err := url.Parse(e.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		d.complain(join(key, "url"), `write one such as "https://ca.example.com/.well-known/est"`, "%q is not an https address", e.URL)
	}
	d.pair(key, "user", "password_file", e.User, e.Password)
}

// EST is the section [est].
type EST struct {
	Address string `toml:"address" doc:"host:port on which the built-in CA serves EST (RFC 7030) to phones, mail programs and other gateways, with secrets from smimerelay enrol invite; empty turns it off"`
	TLSCert string `toml:"tls_certificate" doc:"PEM file with the certificate chain for TLS; it is read again when it has changed" path:"file"`
	TLSKey  string `toml:"tls_key" doc:"PEM file with the private key of tls_certificate" path:"file" secret:"yes"`
}

// est checks [est].
func (d *decoder) est(c *Config) {
	if c.EST.Address == "" {
		return
	}
	d.endpoint("est.address", c.EST.Address, "systemd")
	if c.CA.URL == "" {
		d.complain("est.address", "set up [ca] first, with url and smimerelay ca init", "there is no CA")
	}
	if c.EST.TLSCert == "" || c.EST.TLSKey == "" {
		d.complain("est.tls_certificate", "give tls_certificate and tls_key", "EST is served over TLS only")
	}
}
