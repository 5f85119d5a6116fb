package service

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/publish"
)

// silent is a client from far away that connects and says nothing.
type silent struct {
	net.Conn
	bye    <-chan struct{}
	closed atomic.Bool
}

func (s *silent) Read([]byte) (int, error)         { <-s.bye; return 0, io.EOF }
func (s *silent) Write(b []byte) (int, error)      { return len(b), nil }
func (s *silent) Close() error                     { s.closed.Store(true); return nil }
func (s *silent) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 99} }
func (s *silent) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *silent) SetDeadline(time.Time) error      { return nil }
func (s *silent) SetReadDeadline(time.Time) error  { return nil }
func (s *silent) SetWriteDeadline(time.Time) error { return nil }

var errAllCame = errors.New("all clients came")

// crowd is a listener to which its clients come one after the other.
type crowd struct {
	net.Listener
	list []*silent
	next int
}

func (c *crowd) Accept() (net.Conn, error) {
	if c.next == len(c.list) {
		return nil, errAllCame
	}
	c.next++
	return c.list[c.next-1], nil
}

func (c *crowd) Close() error   { return nil }
func (c *crowd) Addr() net.Addr { return &net.TCPAddr{} }

// TestSilentClients: at the servers that strangers reach by HTTP, one client that opens many connections
// and says nothing takes a part of the connections, and the files that the gateway may have
// open are left for mail; and no server by HTTP waits for a client for ever.
func TestSilentClients(t *testing.T) {
	s := &Service{metrics: observe.NewMetrics(observe.Depth{}), log: slog.New(slog.DiscardHandler), options: Options{Clock: time.Now}}
	for protocol, public := range map[string]bool{adminProtocol: false, estProtocol: true, publishHTTPS: true} {
		server := s.newServer(listenerSpec{name: "x", protocol: protocol})
		if h := httpServer(t, server); h.ReadTimeout == 0 || h.WriteTimeout == 0 || h.IdleTimeout == 0 {
			t.Errorf("%s: waits for ever", protocol)
		}
		if !public {
			continue
		}
		bye := make(chan struct{})
		clients := &crowd{}
		for range publish.MaxPerClient + 1 {
			clients.list = append(clients.list, &silent{bye: bye})
		}
		if err := server.Serve(clients); !errors.Is(err, errAllCame) {
			t.Errorf("%s: %v", protocol, err)
		}
		for i, c := range clients.list {
			if c.closed.Load() != (i == publish.MaxPerClient) {
				t.Errorf("%s: connection %d: closed: %t", protocol, i, c.closed.Load())
			}
		}
		close(bye)
	}
}

// httpServer is the one within a server.
func httpServer(t *testing.T, s server) *http.Server {
	t.Helper()
	switch s := s.(type) {
	case *limitedServer:
		return httpServer(t, s.server)
	case *tlsServer:
		return s.Server
	case *http.Server:
		return s
	}
	t.Fatalf("%T has no server by HTTP", s)
	return nil
}
