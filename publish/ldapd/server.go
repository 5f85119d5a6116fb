// Package ldapd is a read-only LDAP server (RFC 4511) for mail programs that look for
// certificates: published ones for everybody who names an address in full, and an address
// book with those of partners for clients in named networks, or that authenticate.
package ldapd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Partners finds certificates of others.
type Partners interface {
	// Find returns the certificates that mail to an address would be encrypted to now;
	// nil if there are none. An error means that it is not known.
	Find(ctx context.Context, a address.Address) (*publish.Entry, error)
	// Beginning returns up to limit addresses that begin with a text in lower case.
	Beginning(ctx context.Context, text string, limit int) ([]address.Address, error)
}

// TLSMode is how clients get TLS.
type TLSMode int

// The modes: none, on a protected network; from the first octet on; by StartTLS, before
// which only the root DSE can be read.
const (
	NoTLS TLSMode = iota
	Implicit
	StartTLS
)

// Server serves clients.
type Server struct {
	// Published returns what is served now, and what to call when done with it.
	Published func() (*Published, func())
	Limiter   *publish.Limiter
	Mode      TLSMode
	TLS       *tls.Config // nil with NoTLS
	// Count is called with the result of each search.
	Count func(result string)
	Log   *slog.Logger

	connections publish.Connections

	mu     sync.Mutex
	open   map[*conn]struct{}
	work   sync.WaitGroup
	socket net.Listener
	closed bool
}

// Limits on connections.
const (
	idleTime      = time.Minute      // until the next request, and for it to be there
	strangerTime  = 10 * time.Minute // for all that a client asks that has not all rights
	handshakeTime = 10 * time.Second // for TLS
	writeTime     = 30 * time.Second // for an answer
	searchTime    = 10 * time.Second // for a search
)

// Serve accepts clients until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.socket, s.open = l, map[*conn]struct{}{}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return l.Close()
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s.admit(c)
	}
}

// admit serves a client, if there are not too many.
func (s *Server) admit(c net.Conn) {
	client := publish.PeerOf(c)
	p, release := s.Published()
	insider, as := within(p.Networks, client), publish.Network(client)
	release()
	if insider {
		as = netip.PrefixFrom(client, client.BitLen())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.connections.Enter(as) {
		_ = c.Close() // it gets no answer in any case
		return
	}
	k := &conn{server: s, net: c, client: client, as: as, insider: insider}
	s.open[k] = struct{}{}
	s.work.Go(func() {
		defer s.leave(k)
		k.serve()
	})
}

func (s *Server) leave(k *conn) {
	k.close()
	s.connections.Leave(k.as)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, k)
}

// Shutdown ends all connections: a client asks again, and nothing is lost.
func (s *Server) Shutdown(context.Context) error {
	s.mu.Lock()
	s.closed = true
	var err error
	if s.socket != nil {
		err = s.socket.Close()
	}
	for k := range s.open {
		k.close()
	}
	s.mu.Unlock()
	s.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
