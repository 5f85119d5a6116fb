package publish

import (
	"net"
	"net/netip"
	"sync"
)

// Limits on the connections of one server.
const (
	// maxConnections are those of all clients.
	maxConnections = 500
	// MaxPerClient are those of one client, or network of clients.
	MaxPerClient = 20
)

// Connections bounds how many connections a server has, so that one client does not take all of
// them. It is safe for concurrent use.
type Connections struct {
	mu     sync.Mutex
	open   int
	client map[netip.Prefix]int
}

// Enter reports whether a client may have one connection more, for which Leave is to be called
// when it has ended. The zero Prefix is a proxy, or another on this host, for many clients.
func (c *Connections) Enter(client netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= maxConnections || client.IsValid() && c.client[client] >= MaxPerClient {
		return false
	}
	if c.client == nil {
		c.client = map[netip.Prefix]int{}
	}
	c.open++
	c.client[client]++
	return true
}

// Leave ends one connection of a client.
func (c *Connections) Leave(client netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.client[client]--; c.client[client] == 0 {
		delete(c.client, client)
	}
}

// PeerOf is the address of who is at the other end; the zero Addr on a unix socket.
func PeerOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Limit returns a listener whose clients have no more connections than Enter lets them: others
// are closed at once, as they get no answer in any case. A client on this host is a proxy.
func (c *Connections) Limit(l net.Listener) net.Listener { return &limited{l, c} }

type limited struct {
	net.Listener
	connections *Connections
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var client netip.Prefix
		if peer := PeerOf(conn); peer.IsValid() && !peer.IsLoopback() {
			client = Network(peer)
		}
		if !l.connections.Enter(client) {
			_ = conn.Close() // it was not used
			continue
		}
		return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.connections.Leave(client) })}, nil
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
