package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

func (d *decoder) listeners(c *Config) {
	if len(c.Listeners) == 0 {
		d.complain("listener", "add a [[listener]]", "there is none")
	}
	names := seen{}
	for i, l := range c.Listeners {
		key := index("listener", i)
		d.unique(join(key, "name"), l.Name, names)
		if l.Address != "" {
			d.endpoint(join(key, "address"), l.Address, "systemd")
		}
		d.mode(join(key, "socket_mode"), l.SocketMode)
		d.networks(key, l)
		d.milter(key, l)
		d.admission(c, key, l)
		if l.Address != "" && slices.ContainsFunc(l.nextHops(c), func(hop string) bool { return leadsTo(l.Address, hop) }) {
			d.complain(join(key, "address"), "set another next hop", "is also the next hop: mail would loop")
		}
		d.listenerTLS(key, l)
		if l.NextHop != "" {
			d.endpoint(join(key, "next_hop"), l.NextHop)
		}
		if l.NextHop != "" && l.Protocol != "lmtp" {
			d.complain(join(key, "next_hop"), "remove it: the queue delivers to [next_hop]", "has an effect only with protocol = \"lmtp\"")
		}
	}
}

// networks checks the networks of a listener.
func (d *decoder) networks(key string, l Listener) {
	for option, list := range map[string][]string{"networks": l.Networks, "xforward": l.XForward, "xclient": l.XClient, "proxy": l.Proxy} {
		for n, network := range list {
			d.network(index(join(key, option), n), network)
		}
	}
	speakers := map[string][]string{"xclient": l.XClient, "proxy": l.Proxy}
	if l.Protocol == "smtp" {
		speakers["xforward"] = l.XForward
	}
	for option, list := range speakers {
		for n, network := range list {
			if p, err := netip.ParsePrefix(network); err == nil && p.Bits() == 0 {
				d.complain(index(join(key, option), n), "name the proxies", "every host may then claim to be any client")
			}
		}
	}
}

// milter refuses what a listener with the milter protocol does not have: there the MTA
// in front does it.
func (d *decoder) milter(key string, l Listener) {
	if l.Protocol != "milter" {
		return
	}
	if len(l.XForward) > 0 {
		d.complain(join(key, "xforward"), "remove it: the milter protocol names the client", onlySMTP)
	}
	for option, set := range map[string]bool{
		"xclient": len(l.XClient) > 0, "proxy": len(l.Proxy) > 0, "auth": l.Auth != "off", "tls": l.TLS == "implicit",
		"client_names": len(l.ClientNames) > 0, "client_fingerprints": len(l.ClientFingerprints) > 0, "tls_certificate": l.TLSCert != "",
		"session_timeout": l.Session != 0, "minimum_rate": l.MinimumRate != 0, "connections_per_address": l.ConnectionsPerAddress != 0,
		"errors_per_connection": l.ErrorsPerConnection != 0,
	} {
		if set {
			d.complain(join(key, option), "remove it: the MTA does that", onlySMTP)
		}
	}
}

const onlySMTP = "has an effect only with protocol = \"lmtp\" or \"smtp\""

// listenerTLS checks that TLS has what it takes.
func (d *decoder) listenerTLS(key string, l Listener) {
	d.pair(key, "tls_certificate", "tls_key", l.TLSCert, l.TLSKey)
	switch {
	case l.TLS == "off" && l.TLSCert != "":
		d.complain(join(key, "tls_certificate"), "remove it, or set tls to starttls or implicit", "has no effect with tls = \"off\"")
	case l.TLS == "implicit" && l.TLSCert == "":
		d.complain(join(key, "tls_certificate"), "set tls_certificate and tls_key", "is missing: there is no TLS without it")
	}
	if l.TLSCert == "" && len(l.SNI) > 0 {
		d.complain(join(key, "sni_certificates"), "set tls_certificate for clients that ask for no name", "has an effect only with tls_certificate")
	}
}

// headerField is a field of a header with its value (RFC 5322 section 2.2), on one line.
var headerField = regexp.MustCompile(`^[!-9;-~]+:[ \t]*[!-~][ -~]*$`)

// admission checks how clients are admitted.
func (d *decoder) admission(c *Config, key string, l Listener) {
	for n, text := range l.ClientFingerprints {
		if _, err := (Exception{SHA256: text}).Fingerprint(); err != nil {
			d.complain(index(join(key, "client_fingerprints"), n), "write the 64 hexadecimal digits that \"openssl x509 -fingerprint -sha256\" prints", "%q is not a SHA-256 fingerprint", text)
		}
	}
	if (l.ClientCA == "") != (len(l.ClientNames) == 0) {
		d.complain(join(key, "client_ca"), "set client_ca and client_names, or neither: a CA alone does not say which of its certificates are admitted", "one of the two is missing")
	}
	if l.TLSCert == "" && len(l.ClientNames)+len(l.ClientFingerprints) > 0 {
		d.complain(join(key, "tls_certificate"), "set tls_certificate and tls_key", "is missing: client certificates are shown over TLS only")
	}
	if l.Auth == "tls" && l.TLSCert == "" && l.Protocol != "milter" {
		d.complain(join(key, "auth"), "set tls_certificate and tls_key", "is never offered: the listener has no TLS")
	}
	if l.Auth != "off" && c.Auth == (Auth{}) {
		d.complain(join(key, "auth"), "set users_file or directory in [auth]", "there are no users")
	}
	if l.Protocol == "smtp" && l.Direction == "outbound" && len(l.Networks) == 0 && !l.Authenticates() && !l.ForThisHost() {
		d.complain(join(key, "networks"), `name the networks of the clients, such as ["192.0.2.0/24"], or set auth, client_names or client_fingerprints`,
			"is empty: no client may send mail here")
	}
	for n, network := range l.Networks {
		if p, err := netip.ParsePrefix(network); err == nil && p.Bits() == 0 && l.Protocol == "smtp" && !l.Local() {
			d.complain(index(join(key, "networks"), n), "name the networks of the clients", "every host may then send mail to everybody: the listener would be an open relay")
		}
	}
	if l.Required != "" && !headerField.MatchString(l.Required) {
		d.complain(join(key, "required_header"), `write a field with its value, such as "X-OriginatorOrg: example.onmicrosoft.com"`, "%q is not a header field", l.Required)
	}
	if l.Required != "" && l.Protocol != "smtp" {
		d.complain(join(key, "required_header"), "remove it: the MTA in front decides who may send", "has an effect only with protocol = \"smtp\"")
	}
	if size := c.Limits.MessageSize; l.MessageSize > size {
		d.complain(join(key, "message_size"), fmt.Sprintf("write at most %v, or a larger limits.message_size", size), "is larger than limits.message_size")
	}
}

// Authenticates reports whether clients can be authenticated on the listener.
func (l Listener) Authenticates() bool {
	return l.Auth != "off" && l.Auth != "" || len(l.ClientNames)+len(l.ClientFingerprints) > 0
}

// Local reports whether only programs on this host reach the listener. Through a proxy
// on this host everybody may.
func (l Listener) Local() bool {
	if len(l.Proxy)+len(l.XClient) > 0 {
		return false
	}
	return isLocal(l.Address)
}

// isLocal reports whether an address to listen at is reached from this host only.
func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return strings.HasPrefix(address, "unix:") || err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// ForThisHost reports whether all programs on this host, and no others, send mail by the
// listener: it names no clients, and none but they reach it.
func (l Listener) ForThisHost() bool {
	return l.Direction == "outbound" && len(l.Networks) == 0 && !l.Authenticates() && l.Local()
}

// auth checks that passwords are checked in one place.
func (d *decoder) auth(c *Config) {
	a := c.Auth
	if a.UsersFile != "" && a.Directory != "" {
		d.complain("auth.directory", "remove one of the two", "users_file is set, too: a name could be that of two users")
	}
	if a.Directory == "" {
		return
	}
	i := slices.IndexFunc(c.Directory, func(t Directory) bool { return t.Name == a.Directory && t.Type == "ldap" })
	switch {
	case i < 0:
		d.complain("auth.directory", "name a [[directory]] with type = \"ldap\"", "there is no directory %q of this type", a.Directory)
	case c.Directory[i].UserFilter == "":
		d.complain("auth.directory", `set user_filter in it, such as "(uid={user})"`, "the directory cannot find a user by name")
	}
}

// nextHop is where mail of the listener goes.
func (l Listener) nextHops(c *Config) []string {
	if l.NextHop != "" {
		return []string{l.NextHop}
	}
	return []string{c.NextHop.Address, c.NextHop.Local}
}
