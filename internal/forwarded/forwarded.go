// Package forwarded finds the client of an HTTP request behind a reverse proxy.
package forwarded

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Client is the address of the client of a request: that of the connection, or, where this is
// one of a proxy on this host, the one that the proxy names in a header; "" is none. Of a list
// it is the last one: those before it are what the client said. The zero Addr is a client on a
// unix socket that is not named.
func Client(r *http.Request, header string) netip.Addr {
	peer := Peer(r.RemoteAddr)
	if header == "" || peer.IsValid() && !peer.IsLoopback() {
		return peer
	}
	fields := r.Header.Values(header)
	if len(fields) == 0 {
		return peer
	}
	last := fields[len(fields)-1]
	named, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
	if err != nil {
		return peer
	}
	return named.Unmap().WithZone("")
}

// Peer is the address in the remote address of a connection; the zero Addr is a unix socket.
func Peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
