package console

import (
	"net/http"
	"net/netip"

	"github.com/smimerelay/smimerelay/internal/forwarded"
)

// remoteAddr is the remote address of a request, with that of the client in it where a proxy on
// this host names one.
func (c *Console) remoteAddr(r *http.Request) string {
	named := forwarded.Client(r, c.ClientHeader)
	if named == forwarded.Peer(r.RemoteAddr) {
		return r.RemoteAddr
	}
	return netip.AddrPortFrom(named, 0).String()
}

// clientAddr is the address of the client; the zero value is a unix socket.
func clientAddr(r *http.Request) netip.Addr { return forwarded.Peer(r.RemoteAddr) }

func clientName(r *http.Request) string {
	if a := clientAddr(r); a.IsValid() {
		return a.String()
	}
	return "unix socket"
}
