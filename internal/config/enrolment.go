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
	From      string   `toml:"from" doc:"where the certificates come from: ca is the built-in CA, acme a server that speaks ACME and checks addresses by mail (RFC 8823), est one that speaks EST (RFC 7030), scep one that speaks SCEP (RFC 8894), command a program that talks to any other CA, folder a folder into which identities are put (docs/enrolment.md)" enum:"ca,acme,est,scep,command,folder" required:"yes"`
	Addresses []string `toml:"addresses" doc:"for whom: address, domain, .subdomains or glob, or file:PATH; the first table that is for an address decides. Empty, with groups empty too, is all local addresses"`
	Groups    []string `toml:"groups" doc:"or for the members of these groups of a [[directory]] of type ldap, named by mail address or distinguished name"`
	On        string   `toml:"on" doc:"when a certificate is ordered: first-mail with the first message of a sender that a rule with issue = true signs, and renewed by a later one; always at once, and renewed without mail, for addresses that are written in full" enum:"first-mail,always"`
	Command   []string `toml:"command" doc:"command: the program, with its path, and its arguments" shown:"program"`

	URL        string `toml:"url" doc:"acme: URL of the server's directory, such as https://acme.example.com/directory; est: base URL of the server, such as https://ca.example.com/.well-known/est; scep: URL of the server, such as https://ca.example.com/scep, or with http and ca_fingerprint"`
	CA         string `toml:"ca" doc:"acme, est, scep: PEM file with the CA certificates trusted for the server's TLS certificate; empty uses those of the system" path:"file"`
	CAPrint    string `toml:"ca_fingerprint" doc:"scep: SHA-256 fingerprint, in hexadecimal, of the certificate of the CA or of one above it; needed with http, where nothing else says who answers"`
	RAPrint    string `toml:"ra_fingerprint" doc:"scep: SHA-256 fingerprint, in hexadecimal, of the certificate of the server's RA, if it has one; needed then with http, where any holder of a certificate of the CA could pose as the RA and read the challenge password"`
	ClientCert string `toml:"client_certificate" doc:"est: PEM file with the certificate chain by which the gateway authenticates; empty renews with the certificate that is renewed" path:"file"`
	ClientKey  string `toml:"client_key" doc:"est: PEM file with the private key of client_certificate" path:"file" secret:"yes"`
	User       string `toml:"user" doc:"est: user name for HTTP authentication"`
	Password   string `toml:"password_file" doc:"est: file with the password of user; scep: file with the challenge password; folder: file with the password of identities that have no NAME.password beside them" path:"file" secret:"yes"`
	ServerKey  bool   `toml:"server_key" doc:"est: the server makes the keys (serverkeygen) and sends them with the certificates, so that it can keep or share them; without it they are made by the gateway"`
	Folder     string `toml:"folder" doc:"folder: where identities are put, as PKCS #12 or PEM; the files are read and left there" path:"any" secret:"yes"`

	AcceptTerms bool     `toml:"accept_terms" doc:"acme: the terms of the CA, which are at an address that the log names, were read and are accepted"`
	Contact     string   `toml:"contact" doc:"acme: mail address at which the CA reaches the administrator; empty gives it none"`
	EABKeyID    string   `toml:"eab_key_id" doc:"acme: name of the account at the CA, if it wants one (external account binding)"`
	EABKeyFile  string   `toml:"eab_key_file" doc:"acme: file with the HMAC key of eab_key_id, in base64" path:"file" secret:"yes"`
	AuthServID  []string `toml:"authserv_id" doc:"acme: names of mail servers before the gateway whose Authentication-Results are trusted to say that DKIM passed; they must remove fields that others wrote in their name. Where none says so, the gateway verifies DKIM itself"`
	DeliverToo  bool     `toml:"deliver_challenges" doc:"acme: deliver the messages of the CA that the gateway answers, too"`

	Timeout      time.Duration `toml:"timeout" doc:"how long one request may take; mail waits for one that may take a minute or less" min:"1s"`
	KeyType      string        `toml:"key_type" doc:"type of the keys, as in [ca]; ml-dsa-44, -65 and -87 only with the built-in CA" enum:"auto,p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87"`
	Token        string        `toml:"token" doc:"name of the token of identities.tokens in which the keys are made, which they never leave: the value of its attribute token, or the path of its socket; empty makes them in the gateway and keeps them in the store"`
	SeparateKeys bool          `toml:"separate_keys" doc:"order two certificates with separate keys: one for signing, one for encryption"`
	RenewBefore  time.Duration `toml:"renew_before" doc:"how long before expiry a certificate is replaced, at most half of its life; the new one signs when it is there, the old one is still used to decrypt" min:"1h"`
	MaxPerHour   int           `toml:"max_per_hour" doc:"maximum number of certificates that are ordered per hour, so that a flood of senders cannot order any number" min:"1"`
}

// Sources of certificates.
const (
	EnrolCA      = "ca"
	EnrolACME    = "acme"
	EnrolCommand = "command"
	EnrolEST     = "est"
	EnrolSCEP    = "scep"
	EnrolFolder  = "folder"
)

// OnAlways is the value of on that orders without mail.
const OnAlways = "always"

func newEnrolment() Enrolment {
	return Enrolment{
		Addresses: []string{}, Groups: []string{}, On: "first-mail", Command: []string{}, AuthServID: []string{},
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
	d.enrolmentToken(c, key, e)
	d.enrolmentURL(key, e)
	d.enrolmentEST(key, e)
	d.enrolmentSCEP(key, e)
	d.enrolmentACME(c, key, e)
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

// enrolmentToken checks whether keys can be made in a token. Which one is meant is known when
// the tokens are opened.
func (d *decoder) enrolmentToken(c *Config, key string, e *Enrolment) {
	key = join(key, "token")
	switch {
	case e.Token == "":
	case len(c.Identities.Tokens) == 0:
		d.complain(key, "name the token in tokens of [identities]", "no token is configured")
	case e.From == EnrolFolder || e.ServerKey:
		d.complain(key, "remove it, or folder and server_key", "the keys come with the certificates, and are not made in a token")
	case strings.HasPrefix(e.KeyType, "ml-dsa"):
		d.complain(key, "choose p256, p384 or an RSA key", "%q: no token makes such keys", e.KeyType)
	}
}

// enrolmentURL checks where a server is.
func (d *decoder) enrolmentURL(key string, e *Enrolment) {
	if e.From != EnrolEST && e.From != EnrolSCEP && e.From != EnrolACME {
		if e.URL != "" {
			d.complain(join(key, "url"), `give it with from = "acme", "est" or "scep", and only then`, "does not go with from = %q", e.From)
		}
		return
	}
	u, err := url.Parse(e.URL)
	plain := err == nil && u.Scheme == "http" && e.From == EnrolSCEP
	if err != nil || u.Scheme != "https" && !plain || u.Host == "" || u.User != nil || u.RawQuery != "" {
		d.complain(join(key, "url"), `write one such as "https://ca.example.com/.well-known/est" or "https://ca.example.com/scep"`, "%q is not an https address", e.URL)
	}
	if plain && e.CAPrint == "" {
		d.complain(join(key, "ca_fingerprint"), "give the SHA-256 fingerprint of the CA certificate, or use https", "is needed with http: any server on the way could pose as the CA and read the challenge password")
	}
}

// enrolmentEST checks what an EST server needs. Requests hold passwords, and answers decide
// about keys: so there is no plain http.
func (d *decoder) enrolmentEST(key string, e *Enrolment) {
	d.pair(key, "client_certificate", "client_key", e.ClientCert, e.ClientKey)
	if e.ServerKey && e.From != EnrolEST {
		d.complain(join(key, "server_key"), `give it with from = "est", and only then`, "does not go with from = %q", e.From)
	}
	if e.From == EnrolEST {
		d.pair(key, "user", "password_file", e.User, e.Password)
	}
}

// enrolmentSCEP checks what a SCEP server needs. Its messages are signed and encrypted
// themselves; answers are encrypted to the key, which must be RSA.
func (d *decoder) enrolmentSCEP(key string, e *Enrolment) {
	if e.From != EnrolSCEP {
		for name, value := range e.fingerprints() {
			if value != "" {
				d.complain(join(key, name), `give it with from = "scep", and only then`, "does not go with from = %q", e.From)
			}
		}
		return
	}
	if e.User != "" || e.ClientCert != "" {
		d.complain(join(key, "user"), "remove user and client_certificate; a challenge password goes into password_file", "SCEP has no other login")
	}
	if !strings.HasPrefix(e.KeyType, "rsa") {
		d.complain(join(key, "key_type"), `write key_type = "rsa3072"`, "%q: SCEP answers are encrypted to the key, and SCEP knows RSA alone", e.KeyType)
	}
	for name, value := range e.fingerprints() {
		if _, err := (Exception{SHA256: value}).Fingerprint(); value != "" && err != nil {
			d.complain(join(key, name), "write the 64 hexadecimal digits", "%q is not a SHA-256 fingerprint", value)
		}
	}
}

// fingerprints are the options that hold one, with their values.
func (e *Enrolment) fingerprints() map[string]string {
	return map[string]string{"ca_fingerprint": e.CAPrint, "ra_fingerprint": e.RAPrint}
}

// enrolmentACME checks what is for ACME alone.
func (d *decoder) enrolmentACME(c *Config, key string, e *Enrolment) {
	if e.From != EnrolACME {
		for _, option := range []struct {
			name string
			set  bool
		}{
			{"accept_terms", e.AcceptTerms}, {"contact", e.Contact != ""}, {"eab_key_id", e.EABKeyID != ""}, {"eab_key_file", e.EABKeyFile != ""},
			{"authserv_id", len(e.AuthServID) > 0}, {"deliver_challenges", e.DeliverToo},
		} {
			if option.set {
				d.complain(join(key, option.name), `give it with from = "acme", and only then`, "does not go with from = %q", e.From)
			}
		}
		return
	}
	d.pair(key, "eab_key_id", "eab_key_file", e.EABKeyID, e.EABKeyFile)
	if _, err := address.Parse(e.Contact); e.Contact != "" && err != nil {
		d.complain(join(key, "contact"), "write local@domain", "%v", err)
	}
	if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Direction != "outbound" }) && len(c.Listeners) > 0 {
		d.complain(join(key, "from"), "add a listener whose direction is inbound or auto", "the messages of the CA come by no listener")
	}
}

// EST is the section [est].
type EST struct {
	Address  string `toml:"address" doc:"host:port on which the built-in CA serves EST (RFC 7030) to phones, mail programs and other gateways, with secrets from smimerelay enrol invite; empty turns it off"`
	SCEP     string `toml:"scep_address" doc:"mail address in a local domain, such as scep-ra@example.com, that is used for nothing else: with it SCEP (RFC 8894) is served at /scep too. The CA issues a certificate with an RSA key for it, to which clients encrypt their requests; empty turns SCEP off"`
	ShareKey bool   `toml:"share_key" doc:"serve serverkeygen: each invited client of an address gets the decryption key that the gateway uses for it, with its certificate, so that all devices of a person read the same mail"`
	TLSCert  string `toml:"tls_certificate" doc:"PEM file with the certificate chain for TLS; it is read again when it has changed" path:"file"`
	TLSKey   string `toml:"tls_key" doc:"PEM file with the private key of tls_certificate" path:"file" secret:"yes"`
}

// est checks [est].
func (d *decoder) est(c *Config) {
	if _, err := address.Parse(c.EST.SCEP); c.EST.SCEP != "" && err != nil {
		d.complain("est.scep_address", "write local@domain", "%q is not an address", c.EST.SCEP)
	}
	if c.EST.Address == "" {
		if c.EST.SCEP != "" {
			d.complain("est.scep_address", "give address too", "SCEP is served where EST is, and est.address is empty")
		}
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
