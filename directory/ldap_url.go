package directory

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// target is a server, or the servers of a domain, as the configuration names it.
type target struct {
	url     string // as configured
	network string // "tcp" or "unix"
	address string // host:port, or the socket's path
	host    string // the name that its certificate must bear
	domain  string // instead of address and host: ask DNS for the domain's servers
	tls     bool   // from the first octet on
	base    string
	scope   int
	filter  *filterTemplate // nil: that of the source
}

// confidential reports whether others cannot read what is said to it.
func (t *target) confidential(startTLS bool) bool {
	return t.tls || startTLS || t.network == "unix"
}

// Well-known ports.
const (
	portLDAP  = "389"
	portLDAPS = "636"
)

// parseServer reads the name of a server: "ldap://host", "ldaps://host:636",
// "host", "host:389", "host:636", "ldapi://%2Fpath", all with the base, scope
// and filter of RFC 4516 if need be. A bare host is spoken to over TLS, unless
// StartTLS is configured; it is the port that says otherwise. A URL with a base
// and no host ("ldap:///dc=corp,dc=example") names the servers of the domain that
// the base spells (RFC 2247), by their SRV records (RFC 2782).
func parseServer(text string, cfg LDAPConfig) (target, error) {
	if strings.ContainsAny(text, " \t,") && strings.Count(text, "://") > 1 {
		return target{}, fmt.Errorf("url %q: has several servers in it", text)
	}
	if text != strings.TrimSpace(text) {
		return target{}, fmt.Errorf("url %q: begins or ends with a blank", text)
	}
	t := target{url: text, base: cfg.Base, scope: ldap.ScopeWholeSubtree}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		var err error
		if scheme, err = schemeOf(text, cfg.StartTLS); err != nil {
			return target{}, err
		}
		rest = text
	}
	authority, tail, _ := strings.Cut(rest, "/")
	var err error
	switch strings.ToLower(scheme) {
	case "ldap":
		err = t.setHost(authority, portLDAP)
	case "ldaps":
		t.tls = true
		err = t.setHost(authority, portLDAPS)
	case "ldapi":
		if authority == "" && tail != "" && !strings.Contains(tail, "=") {
			authority, tail = "/"+tail, "" // a widespread spelling of the path
		}
		err = t.setSocket(authority)
	default:
		err = fmt.Errorf("scheme %q is neither ldap, ldaps nor ldapi", scheme)
	}
	if err == nil {
		err = t.setQuery(tail)
	}
	if err == nil && t.network == "" {
		t.domain, err = domainOf(tail)
	}
	if err != nil {
		return target{}, fmt.Errorf("url %q: %w", text, err)
	}
	return t, nil
}

// domainOf returns the domain that the dc components of a URL's base spell.
func domainOf(tail string) (string, error) {
	base, _, _ := strings.Cut(tail, "?")
	text, err := url.PathUnescape(base)
	if err != nil {
		return "", err
	}
	dn, err := ldap.ParseDN(text)
	if err != nil {
		return "", err
	}
	var labels []string
	for _, rdn := range dn.RDNs {
		if a := rdn.Attributes[0]; strings.EqualFold(a.Type, "dc") {
			labels = append(labels, a.Value)
		}
	}
	if domain := strings.Join(labels, "."); isHostName(domain) {
		return domain, nil
	}
	return "", errors.New("no host, and no base with dc= that names a domain")
}

// schemeOf says what a server without a scheme speaks.
func schemeOf(text string, startTLS bool) (string, error) {
	host, _, _ := strings.Cut(text, "/")
	_, port, err := net.SplitHostPort(host)
	switch {
	case err != nil && startTLS, port == portLDAP:
		return "ldap", nil
	case err != nil, port == portLDAPS:
		return "ldaps", nil
	}
	return "", fmt.Errorf("url %q: the protocol does not follow from port %s: write ldap:// or ldaps://", text, port)
}

func (t *target) setHost(authority, port string) error {
	if authority == "" {
		return nil // the servers of a domain
	}
	host, given, err := net.SplitHostPort(authority)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(authority, "["), "]")
	} else {
		port = given
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: not a port", port)
	}
	if err != nil && strings.Contains(host, ":") && !strings.HasPrefix(authority, "[") {
		return fmt.Errorf("host %q: an IPv6 address stands in brackets, as in ldaps://[2001:db8::1]:636", host)
	}
	if net.ParseIP(host) == nil && !isHostName(host) {
		return fmt.Errorf("host %q: neither a name nor an address", host)
	}
	t.network, t.address, t.host = "tcp", net.JoinHostPort(host, port), host
	return nil
}

func isHostName(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func (t *target) setSocket(authority string) error {
	path, err := url.PathUnescape(authority)
	if err != nil {
		return err
	}
	if path == "" {
		path = "/var/run/slapd/ldapi"
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("socket %q: not an absolute path (write / as %%2F)", path)
	}
	t.network, t.address, t.host = "unix", path, "localhost"
	return nil
}

// setQuery reads dn?attributes?scope?filter?extensions (RFC 4516 section 2).
// Attributes are those of the configuration; they are not read from here.
func (t *target) setQuery(tail string) error {
	parts := strings.Split(tail, "?")
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		switch i {
		case 0:
			err = checkBase(text)
			t.base = text
		case 2:
			t.scope, err = parseScope(text)
		case 3:
			t.filter, err = parseFilter(text)
		case 4:
			err = refuseCritical(text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseScope(text string) (int, error) {
	switch text {
	case "base":
		return ldap.ScopeBaseObject, nil
	case "one":
		return ldap.ScopeSingleLevel, nil
	case "sub":
		return ldap.ScopeWholeSubtree, nil
	}
	return 0, fmt.Errorf("scope %q: use base, one or sub", text)
}

// refuseCritical: an extension marked "!" that is not understood makes the URL
// unusable (RFC 4516 section 2).
func refuseCritical(text string) error {
	for ext := range strings.SplitSeq(text, ",") {
		if strings.HasPrefix(ext, "!") {
			return fmt.Errorf("extension %q: not supported", ext)
		}
	}
	return nil
}

// checkBase refuses what no server takes for a name. Beside those of RFC 4514 there are values
// in quotes, as in its predecessors, and <GUID=...>, <SID=...> and <WKGUID=...> of Active
// Directory, which only the server understands ([MS-ADTS] section 3.1.1.3.1.2.4).
func checkBase(text string) error {
	if _, err := ldap.ParseDN(text); err != nil && !(strings.ContainsAny(text, `<"`) && strings.Contains(text, "=")) {
		return fmt.Errorf("%q is not a distinguished name", text)
	}
	return nil
}
