package smtpclient

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
)

// Host is a server to deliver to.
type Host struct {
	// Address is "host:port", "address:port" or "unix:/path".
	Address string
	// Name is what logs and reports call it; "" is the host of Address.
	Name string
	// TLS says how the server is to be secured; the zero value does not.
	TLS TLS
}

// TLS says whether a connection is secured, and what the server must prove. Its values
// are made by the functions of this package.
type TLS struct {
	config *tls.Config // nil: never
	// required: without it nothing is sent. verified: config proves who the server is.
	required, verified, implicit, unbound bool
	// key is the same for values that mean the same: connections under one are used by
	// the other.
	key string
	// policy is where the demand comes from, in the words of RFC 8460 section 4.2; "" is
	// the configuration.
	policy string
}

// Opportunistic uses STARTTLS where it is offered, without looking at the certificate
// (RFC 7435). name, "" for none, is sent as the server's name.
func Opportunistic(name string) TLS {
	return TLS{config: unchecked(name), key: "opportunistic " + name}
}

// Encrypted uses TLS or sends nothing, without looking at the certificate.
func Encrypted(name string) TLS {
	return TLS{config: unchecked(name), required: true, key: "encrypted " + name}
}

func unchecked(name string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ServerName: name} //nolint:gosec // G402: RFC 7435, opportunistic
}

// Verified uses TLS and wants a certificate for name from an authority in roots (nil is
// those of the system), or sends nothing.
func Verified(name string, roots *x509.CertPool, key string) TLS {
	return TLS{
		config:   &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12},
		required: true, verified: true, key: "verified " + name + " " + key,
	}
}

// Proven uses TLS and wants a certificate that prove accepts, or sends nothing. key tells
// proofs apart.
func Proven(name string, prove func(tls.ConnectionState) error, key string) TLS {
	c := unchecked(name)
	c.VerifyConnection = prove
	return TLS{config: c, required: true, verified: true, key: "proven " + name + " " + key}
}

// Implicit returns t for a port where TLS begins at once (RFC 8314 section 3). There is
// no opportunistic form of it.
func (t TLS) Implicit() TLS {
	t.implicit, t.required = true, true
	t.key += " implicit"
	return t
}

// WithCertificate returns t with a client certificate.
func (t TLS) WithCertificate(get func() (*tls.Certificate, error)) TLS {
	if t.config != nil {
		t.config = t.config.Clone()
		t.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return get() }
	}
	return t
}

// WithPolicy returns t with the sort of policy that demands it: "tlsa" or "sts".
func (t TLS) WithPolicy(policy string) TLS {
	t.policy = policy
	t.key += " " + policy
	return t
}

// Policy is the sort of policy that demands t, in the words of RFC 8460 section 4.2.
func (t TLS) Policy() string { return cmp.Or(t.policy, "no-policy-found") }

// Unbound returns t for a host of whose name it is not known that the domain of the
// recipient chose it: the MX records were not secured. It does not do for REQUIRETLS
// (RFC 8689 section 4.2.1).
func (t TLS) Unbound() TLS {
	t.unbound = true
	t.key += " unbound"
	return t
}

// fallsBack reports whether a server whose TLS is broken may be spoken to without.
func (t TLS) fallsBack() bool { return t.config != nil && !t.required }

// key is the same for hosts that share connections.
func (h Host) key() string { return h.Address + " " + h.Name + " " + h.TLS.key }

// network returns what to dial.
func (h Host) network() (network, address string) {
	if path, ok := strings.CutPrefix(h.Address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", h.Address
}

// shown is the host in the log: its name with its address.
func (h Host) shown() string {
	if h.Name == "" || strings.HasPrefix(h.Address, h.Name+":") {
		return h.Address
	}
	return h.Name + "[" + h.Address + "]"
}

// near reports whether the way to the server does not leave this machine.
func (h Host) near() bool {
	network, address := h.network()
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// label is what the host is called in reports (RFC 3464 section 2.3.5); greeted is the
// name that it gives itself.
func (h Host) label(greeted string) string {
	if h.Name != "" {
		return h.Name
	}
	network, address := h.network()
	host, _, err := net.SplitHostPort(address)
	if network == "unix" || err != nil {
		return greeted
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Is6() {
			return "[IPv6:" + ip.WithZone("").String() + "]"
		}
		return "[" + ip.String() + "]"
	}
	return host
}
