package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// endpoint checks "host:port", "unix:/path" and, where the gateway listens and the scheme is
// allowed, "systemd:NAME".
func (d *decoder) endpoint(key, text string, schemes ...string) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			d.complain(key, "write the whole path: unix:/run/...", "%q is not an absolute path", path)
		} else if len(path) > 107 {
			d.complain(key, "use a shorter one", "the path is longer than the 107 octets of a socket's name")
		}
		return
	}
	listens := len(schemes) > 0
	if name, ok := strings.CutPrefix(text, "systemd:"); ok && listens {
		if name == "" {
			d.complain(key, "write systemd: and the FileDescriptorName of the socket unit", "the name is missing")
		}
		return
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		d.complain(key, endpointRemedy(text), "%q is not an address", text)
		return
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil && strings.HasPrefix(text, "inet:"), err != nil && strings.HasPrefix(text, "local:"):
		d.complain(key, endpointRemedy(text), "%q is not an address", text)
	case err != nil:
		d.complain(key, "write a port number from 1 to 65535", "%q is not a port", port)
	case n == 0 && !listens: // for a listener, the kernel chooses one
		d.complain(key, "write a port number from 1 to 65535", "no server has port 0")
	}
}

// endpointRemedy says how an address is written, if it can from what stands there: Postfix
// writes others.
func endpointRemedy(text string) string {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return "write the port, too: \"" + net.JoinHostPort(addr.String(), "25") + "\"; IPv6 addresses are in brackets"
	}
	scheme, rest, ok := strings.Cut(text, ":")
	switch {
	case ok && (scheme == "inet" || scheme == "inet6" || scheme == "smtp" || scheme == "lmtp" || scheme == "relay"):
		return "write \"host:port\", without \"" + scheme + ":\""
	case ok && scheme == "local", strings.HasPrefix(text, "/"):
		return `write "unix:/path"`
	case strings.Trim(text, "0123456789") == "":
		return "write the host, too: \"127.0.0.1:" + text + "\""
	case ok && strings.Contains(rest, ":"):
		return `write "host:port", with an IPv6 address in brackets: "[2001:db8::1]:25"`
	}
	return `write "host:port" or "unix:/path"`
}

// leadsTo reports whether who connects to an address is sure to get to a listener. Both are
// "host:port" or "unix:/path"; a listener without a host, or at 0.0.0.0, has the loopback
// interface, too.
func leadsTo(listener, address string) bool {
	if anyPort := strings.HasSuffix(listener, ":0"); anyPort || listener == address {
		return !anyPort // the kernel chooses the port
	}
	host, port, err := net.SplitHostPort(listener)
	to, toPort, err2 := net.SplitHostPort(address)
	if err != nil || err2 != nil || port != toPort {
		return false
	}
	own, _ := netip.ParseAddr(host)
	return loopbackName(host) == loopbackName(to) || (host == "" || own.IsUnspecified()) && isThisHost(to)
}

// loopbackName is the address of localhost, and any other host as it is.
func loopbackName(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	return host
}

// isThisHost reports whether a host is sure to be this machine.
func isThisHost(host string) bool {
	addr, _ := netip.ParseAddr(loopbackName(host))
	return host == "" || addr.IsLoopback() || addr.IsUnspecified()
}
