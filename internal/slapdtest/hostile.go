package slapdtest

import (
	"net"
	"sync"
	"testing"
)

// Hostile is a server that treats every connection alike and counts them.
type Hostile struct {
	listener net.Listener
	done     sync.WaitGroup
	mu       sync.Mutex
	accepted int
	open     []net.Conn
}

// StartHostile runs treat on every connection until the test ends, and then
// closes those that are still open.
func StartHostile(tb testing.TB, treat func(net.Conn)) *Hostile {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	h := &Hostile{listener: l}
	h.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.accepted++
			h.open = append(h.open, c)
			h.mu.Unlock()
			h.done.Go(func() { treat(c) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		h.mu.Lock()
		for _, c := range h.open {
			c.Close()
		}
		h.mu.Unlock()
		h.done.Wait()
	})
	return h
}

// Hold says nothing and does not hang up.
func Hold(net.Conn) {}

// Addr is where the server listens.
func (h *Hostile) Addr() *net.TCPAddr { return h.listener.Addr().(*net.TCPAddr) }

// URL returns the ldap:// URL of the server.
func (h *Hostile) URL() string { return "ldap://" + h.listener.Addr().String() }

// Connections returns how many connections there were so far.
func (h *Hostile) Connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accepted
}
