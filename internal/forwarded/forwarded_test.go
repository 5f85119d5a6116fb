package forwarded

import (
	"net/http"
	"net/netip"
	"testing"
)

// TestClient: only a proxy on this host names the client, and what the client said itself is not
// it.
func TestClient(t *testing.T) {
	const header = "X-Forwarded-For"
	for _, c := range []struct {
		name, remote, header string
		fields               []string
		want                 string
	}{
		{"no proxy", "192.0.2.1:99", header, nil, "192.0.2.1"},
		{"a client that names another", "192.0.2.1:99", header, []string{"203.0.113.1"}, "192.0.2.1"},
		{"a proxy", "127.0.0.1:99", header, []string{"203.0.113.1"}, "203.0.113.1"},
		{"a proxy over IPv6", "[::1]:99", header, []string{"2001:db8::1%eth0"}, "2001:db8::1"},
		{"a mapped proxy", "[::ffff:127.0.0.1]:99", header, []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"a proxy that is not asked", "127.0.0.1:99", "", []string{"203.0.113.1"}, "127.0.0.1"},
		{"a list", "127.0.0.1:99", header, []string{"198.51.100.1, 203.0.113.1"}, "203.0.113.1"},
		{"two fields", "127.0.0.1:99", header, []string{"198.51.100.1", "203.0.113.1"}, "203.0.113.1"},
		{"nonsense last", "127.0.0.1:99", header, []string{"198.51.100.1, x"}, "127.0.0.1"},
		{"a proxy that names no client", "127.0.0.1:99", header, nil, "127.0.0.1"},
		{"a socket", "@", header, []string{"203.0.113.1"}, "203.0.113.1"},
		{"a socket without a name", "@", header, nil, ""},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		for _, f := range c.fields {
			r.Header.Add(header, f)
		}
		var want netip.Addr
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		if got := Client(r, c.header); got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}
