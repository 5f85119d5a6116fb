package publish

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// incoming is a listener of a test, with clients of any address.
type incoming struct {
	net.Listener
	list []*peer
}

type peer struct {
	net.Conn
	from   string
	closed bool
}

func (p *peer) RemoteAddr() net.Addr {
	if p.from == "" {
		return &net.UnixAddr{}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(p.from), 99))
}

func (p *peer) Close() error { p.closed = true; return nil }

var errNoMore = errors.New("no more clients")

func (i *incoming) Accept() (net.Conn, error) {
	if len(i.list) == 0 {
		return nil, errNoMore
	}
	p := i.list[0]
	i.list = i.list[1:]
	return p, nil
}

// TestConnectionsOfOneClient: a client takes only its own part of the connections, which are
// bounded in all; a proxy on this host has many clients.
func TestConnectionsOfOneClient(t *testing.T) {
	var c Connections
	in := &incoming{}
	l := c.Limit(in)
	accept := func(from string, n int) (list []net.Conn) {
		t.Helper()
		for range n {
			in.list = append(in.list, &peer{from: from})
		}
		for {
			conn, err := l.Accept()
			if err != nil {
				if !errors.Is(err, errNoMore) {
					t.Fatal(err)
				}
				return list
			}
			list = append(list, conn)
		}
	}
	want := func(name string, got []net.Conn, want int) {
		t.Helper()
		if len(got) != want {
			t.Errorf("%s: %d connections, want %d", name, len(got), want)
		}
	}
	first := accept("192.0.2.1", MaxPerClient+5)
	want("a client", first, MaxPerClient)
	want("the same, mapped", accept("::ffff:192.0.2.1", 1), 0)
	want("another", accept("192.0.2.2", 1), 1)
	want("a network", accept("2001:db8::1", MaxPerClient), MaxPerClient)
	want("another address in it", accept("2001:db8::2", 1), 0)
	for range 2 { // also if it is closed twice
		if err := first[0].Close(); err != nil {
			t.Error(err)
		}
	}
	want("after one has ended", accept("192.0.2.1", 5), 1)
	const used = 2*MaxPerClient + 1
	want("a proxy", accept("127.0.0.1", 2*MaxPerClient), 2*MaxPerClient)
	want("a socket", accept("", maxConnections), maxConnections-used-2*MaxPerClient)
	if late := (&peer{from: "192.0.2.3"}); true {
		in.list = append(in.list, late)
		if _, err := l.Accept(); !errors.Is(err, errNoMore) || !late.closed {
			t.Errorf("over all: %v, closed %t", err, late.closed)
		}
	}
}
