package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Publish is one [[publish]].
type Publish struct {
	Name      string   `toml:"name" doc:"name in the log and in metrics" required:"yes"`
	To        string   `toml:"to" doc:"where certificates are published: https returns the certificates of one address; ldap is a directory for mail programs; dns keeps SMIMEA records in a zone; directory keeps them in the entries of users in an LDAP server such as Active Directory (docs/publishing.md)" enum:"https,ldap,dns,directory" required:"yes"`
	Addresses []string `toml:"addresses" doc:"whose certificates are published: address, domain, .subdomains or glob; an empty list is all local addresses"`

	Address    string `toml:"address" doc:"https, ldap: host:port, unix:/path, or systemd:NAME of a socket unit on which it is served; addresses that other hosts reach need TLS"`
	SocketMode string `toml:"socket_mode" doc:"permissions of the socket file of a unix: address"`
	TLSCert    string `toml:"tls_certificate" doc:"https, ldap: PEM file with the certificate chain for TLS; it is read again when it has changed" path:"file"`
	TLSKey     string `toml:"tls_key" doc:"https, ldap: PEM file with the private key of tls_certificate" path:"file" secret:"yes"`
	PerMinute  int    `toml:"requests_per_minute" doc:"https, ldap: how many questions a client, or a network of 64 bits of IPv6, may ask in a minute" min:"1"`

	StartTLS  bool     `toml:"start_tls" doc:"ldap: clients start TLS by StartTLS, as on port 389, and before it only the root DSE can be read; false is TLS from the first octet on, as on port 636"`
	Base      string   `toml:"base" doc:"ldap: name of the entry above all others, which clients have as the base of searches"`
	Networks  []string `toml:"networks" doc:"ldap: networks (CIDR) of clients that may search for parts of names, and get the certificates of partners, too; other clients must name one address in full, of which a certificate is published"`
	BindDN    string   `toml:"bind_dn" doc:"ldap: name with which clients outside of networks bind to have the same rights; empty is none. directory: account that writes; empty is that of the [[directory]]"`
	Password  string   `toml:"password_file" doc:"ldap, directory: file with the password of bind_dn" path:"file" secret:"yes"`
	SizeLimit int      `toml:"size_limit" doc:"ldap: maximum number of entries in one answer" min:"1"`

	Directory  string   `toml:"directory" doc:"directory: name of the [[directory]] of type ldap whose servers, base and filter find the entry of a user"`
	Attributes []string `toml:"attributes" doc:"directory: attributes that are written, of userCertificate and userSMIMECertificate"`

	Server     string        `toml:"server" doc:"dns: primary server of the zone, host:port or host; it gets dynamic updates (RFC 2136)"`
	Zone       string        `toml:"zone" doc:"dns: the zone that is updated; the records of addresses in this domain and below it are written"`
	TSIGKey    string        `toml:"tsig_key" doc:"dns: name of the TSIG key that signs updates"`
	TSIGSecret string        `toml:"tsig_secret_file" doc:"dns: file with the secret of tsig_key, in base64" path:"file" secret:"yes"`
	Algorithm  string        `toml:"tsig_algorithm" doc:"dns: algorithm of tsig_key" enum:"hmac-sha256,hmac-sha384,hmac-sha512"`
	TTL        time.Duration `toml:"ttl" doc:"dns: time to live of the records" min:"1s"`
}

// The values of to of tables that write: to a zone, and to entries of users.
const (
	publishDNS       = "dns"
	PublishDirectory = "directory"
)

// The values of to of tables that serve clients.
const (
	publishHTTPS = "https"
	publishLDAP  = "ldap"
)

// Outside reports whether certificates are written to another server.
func (p *Publish) Outside() bool { return p.To == publishDNS || p.To == PublishDirectory }

func newPublish() Publish {
	return Publish{Addresses: []string{}, SocketMode: socketMode, PerMinute: 60, Base: "ou=certificates", Networks: []string{}, SizeLimit: 100, Algorithm: "hmac-sha256", TTL: time.Hour,
		Attributes: []string{"userCertificate", "userSMIMECertificate"}}
}

// publishing checks [[publish]].
func (d *decoder) publishing(c *Config) {
	var names []string
	for i := range c.Publish {
		p, key := &c.Publish[i], index("publish", i)
		if slices.Contains(names, p.Name) {
			d.complain(join(key, "name"), "give each table a name of its own", "%q is the name of another table", p.Name)
		}
		names = append(names, p.Name)
		d.publishOnly(key, p)
		switch p.To {
		case publishDNS:
			d.publishDNS(key, p)
		case PublishDirectory:
			d.publishDirectory(c, key, p)
		case "":
		default:
			d.publishServer(key, p)
			d.publishLDAP(key, p)
		}
	}
}

// publishServer checks what a table needs that serves clients.
func (d *decoder) publishServer(key string, p *Publish) {
	d.mode(join(key, "socket_mode"), p.SocketMode)
	d.pair(key, "tls_certificate", "tls_key", p.TLSCert, p.TLSKey)
	if p.Address == "" {
		d.complain(join(key, "address"), `write one such as "0.0.0.0:8443", for LDAP "0.0.0.0:8636"`, "is missing")
		return
	}
	d.endpoint(join(key, "address"), p.Address, "systemd")
	if strings.HasSuffix(p.Address, ":0") {
		return // a port that the kernel chooses
	}
	if p.TLSCert == "" && !isLocal(p.Address) {
		d.complain(join(key, "tls_certificate"), "set tls_certificate and tls_key, or an address such as \"127.0.0.1:8080\" behind a proxy with TLS",
			"is missing: other hosts reach %q, and answers could be changed on the way", p.Address)
	}
}

// publishOnly refuses what is for another kind of table.
func (d *decoder) publishOnly(key string, p *Publish) {
	only := func(option string, set bool, kinds ...string) {
		if set && p.To != "" && !slices.Contains(kinds, p.To) {
			d.complain(join(key, option), fmt.Sprintf("give it with to = %q, and only then", kinds[0]), "does not go with to = %q", p.To)
		}
	}
	only("address", p.Address != "", publishHTTPS, publishLDAP)
	only("start_tls", p.StartTLS, publishLDAP)
	only("networks", len(p.Networks) > 0, publishLDAP)
	only("bind_dn", p.BindDN != "", publishLDAP, PublishDirectory)
	only("directory", p.Directory != "", PublishDirectory)
	only("server", p.Server != "", publishDNS)
	only("zone", p.Zone != "", publishDNS)
	only("tsig_key", p.TSIGKey != "", publishDNS)
}

// publishLDAP checks what a table needs that serves LDAP.
func (d *decoder) publishLDAP(key string, p *Publish) {
	for n, network := range p.Networks {
		d.network(index(join(key, "networks"), n), network)
	}
	d.pair(key, "bind_dn", "password_file", p.BindDN, p.Password)
	if p.StartTLS && p.TLSCert == "" {
		d.complain(join(key, "start_tls"), "set tls_certificate and tls_key", "needs a certificate")
	}
}

// publishDNS checks what a table needs that writes to a zone.
func (d *decoder) publishDNS(key string, p *Publish) {
	for _, option := range []struct{ name, value string }{
		{"server", p.Server}, {"zone", p.Zone}, {"tsig_key", p.TSIGKey}, {"tsig_secret_file", p.TSIGSecret},
	} {
		if option.value == "" {
			d.complain(join(key, option.name), "set server, zone, tsig_key and tsig_secret_file", "is missing")
		}
	}
	if p.Zone != "" {
		d.domain(join(key, "zone"), p.Zone)
	}
}

// publishDirectory checks what a table needs that writes to entries of users.
func (d *decoder) publishDirectory(c *Config, key string, p *Publish) {
	d.pair(key, "bind_dn", "password_file", p.BindDN, p.Password)
	at := slices.IndexFunc(c.Directory, func(s Directory) bool { return s.Name == p.Directory && s.Type == "ldap" })
	switch {
	case p.Directory == "":
		d.complain(join(key, "directory"), "name a [[directory]] of type ldap", "is missing")
	case at < 0:
		d.complain(join(key, "directory"), "name a [[directory]] of type ldap", "there is no [[directory]] %q of type ldap", p.Directory)
	case p.BindDN == "" && c.Directory[at].BindDN == "" && !c.Directory[at].SASLExternal:
		d.complain(join(key, "bind_dn"), "set bind_dn and password_file to those of an account that may write", "is missing: the [[directory]] has no account, either")
	}
	if len(p.Attributes) == 0 {
		d.complain(join(key, "attributes"), "remove the line to write both", "is empty")
	}
	for n, name := range p.Attributes {
		if !strings.EqualFold(name, "userCertificate") && !strings.EqualFold(name, "userSMIMECertificate") {
			d.complain(index(join(key, "attributes"), n), "write userCertificate, userSMIMECertificate or both", "%q holds no certificates", name)
		}
	}
}
