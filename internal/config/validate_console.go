package config

import (
	"net"
	"net/url"
	"strings"
)

// console checks that passwords do not cross a network in the clear.
func (d *decoder) console(c Console, s Store) {
	d.mode("console.socket_mode", c.SocketMode)
	d.pair("console", "tls_certificate", "tls_key", c.TLSCert, c.TLSKey)
	d.consoleProxy(c)
	if c.Address == "" {
		return
	}
	d.endpoint("console.address", c.Address, "systemd")
	if c.TLSCert == "" && !isLocal(c.Address) {
		d.complain("console.tls_certificate", "set tls_certificate and tls_key, or an address such as \"127.0.0.1:8443\" or unix:/path",
			"is missing: other hosts reach the console, and passwords would cross the network in the clear")
	}
	if c.Path == "" && s.URL == "" {
		d.complain("console.path", "set it to a file", "is missing: the store is in memory, and there is no file next to it")
	}
	if c.Idle > c.Lifetime {
		d.complain("console.session_idle", "write at most session_lifetime", "is longer than session_lifetime")
	}
}

// consoleProxy checks the options for a reverse proxy in front of the console.
func (d *decoder) consoleProxy(c Console) {
	if strings.ContainsFunc(c.Client, noFieldName) {
		d.complain("console.client_header", "write one such as \"X-Forwarded-For\"", "%q is not the name of a header field", c.Client)
	}
	if c.URL == "" {
		return
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || c.URL != u.Scheme+"://"+u.Host {
		d.complain("console.url", "write one such as \"https://console.example.com\", without a path", "%q is not the address of the console", c.URL)
		return
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		d.complain("console.url", "write https://", "passwords would cross the network in the clear")
	}
}

func noFieldName(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// Secure reports whether browsers come by HTTPS: to the console itself, or to the proxy in
// front of a socket.
func (c Console) Secure() bool {
	return c.TLSCert != "" || strings.HasPrefix(c.URL, "https:") || c.URL == "" && strings.HasPrefix(c.Address, "unix:")
}

// Root is the address at which browsers reach the console, without the last slash.
func (c Console) Root() string {
	host, scheme := c.Address, "http"
	if c.Secure() {
		scheme = "https"
	}
	switch {
	case c.URL != "":
		return c.URL
	case host == "", strings.HasPrefix(host, "unix:"), strings.HasPrefix(host, "systemd:"):
		host = unknownHost
	}
	return scheme + "://" + host
}

// unknownHost stands for the host of a reverse proxy that no option names.
const unknownHost = "HOST"
