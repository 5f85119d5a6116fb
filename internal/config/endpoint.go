package config

import (
	"net"
	"net/netip"
	"strings"
)

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
