package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Conn is a connection as an Acceptor sees it.
type Conn interface {
	// Run serves the connection to its end.
	Run()
	// Drain ends the connection as soon as no message is under way on it.
	Drain()
	// Close ends it now.
	Close() error
}

// Acceptor accepts connections within limits and ends them again.
type Acceptor struct {
	Limits Limits
	// Exempt peers may have any number of the connections: they speak for many
	// clients. Nil is none of them.
	Exempt func(netip.Addr) bool
	// New makes a Conn; it must not block.
	New func(net.Conn) Conn
	// Busy tells a peer that there are too many connections, and returns at
	// once; the connection is closed afterwards.
	Busy func(net.Conn)

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[Conn]netip.Prefix // with its origin
	perAddr   map[netip.Prefix]int  // by origin
	closed    bool
	wg        sync.WaitGroup
}

// Serve accepts connections until the listener fails or Shutdown is called; it
// closes ln.
func (a *Acceptor) Serve(ln net.Listener) error {
	defer ln.Close()
	if !a.track(ln, true) {
		return net.ErrClosed
	}
	defer a.track(ln, false)
	var wait time.Duration
	for {
		nc, err := ln.Accept()
		if err == nil {
			wait = 0
			a.start(nc)
			continue
		}
		if a.isClosed() {
			return net.ErrClosed
		}
		if !temporary(err) {
			return err
		}
		// Out of file descriptors, as a rule: connections that end free some.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		time.Sleep(wait)
	}
}

func temporary(err error) bool {
	ne, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && ne.Temporary()
}

func (a *Acceptor) track(ln net.Listener, add bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	if a.listeners == nil {
		a.listeners = map[net.Listener]bool{}
	}
	if add {
		a.listeners[ln] = true
	} else {
		delete(a.listeners, ln)
	}
	return true
}

func (a *Acceptor) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

// start runs nc in a goroutine of its own, or turns it away.
func (a *Acceptor) start(nc net.Conn) {
	c := a.New(nc)
	if !a.enter(c, RemoteAddr(nc)) {
		if a.Busy != nil {
			a.Busy(nc)
		}
		nc.Close()
		return
	}
	go func() {
		defer a.wg.Done()
		defer a.leave(c)
		defer nc.Close()
		c.Run()
	}()
}

func (a *Acceptor) enter(c Conn, from netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.conns) >= a.Limits.Connections || a.full(from) {
		return false
	}
	if a.conns == nil {
		a.conns, a.perAddr = map[Conn]netip.Prefix{}, map[netip.Prefix]int{}
	}
	a.conns[c] = Origin(from)
	a.perAddr[Origin(from)]++
	a.wg.Add(1)
	return true
}

// Claim counts a connection for another address than it came from, once it is known for
// whom it is. It reports whether that address may have one more.
func (a *Acceptor) Claim(c Conn, addr netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, ok := a.conns[c]
	if !ok || before != Origin(addr) && a.full(addr) {
		return false
	}
	a.uncount(before)
	a.conns[c] = Origin(addr)
	a.perAddr[Origin(addr)]++
	return true
}

func (a *Acceptor) uncount(from netip.Prefix) {
	if a.perAddr[from]--; a.perAddr[from] == 0 {
		delete(a.perAddr, from)
	}
}

// full reports whether an address has all the connections that it may have.
func (a *Acceptor) full(from netip.Addr) bool {
	limit := a.Limits.PerAddress
	if limit == 0 || !from.IsValid() || a.Exempt != nil && a.Exempt(from) {
		return false
	}
	return a.perAddr[Origin(from)] >= limit
}

func (a *Acceptor) leave(c Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := a.conns[c]
	delete(a.conns, c)
	a.uncount(from)
}

// Shutdown stops accepting, lets messages under way come to their end, and
// waits for it. When ctx is done first, the remaining connections are cut and
// the context's error is returned.
func (a *Acceptor) Shutdown(ctx context.Context) error {
	for _, c := range a.stop() {
		// Each by itself: a peer that does not read holds up its own farewell.
		a.wg.Go(c.Drain)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.wg.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	<-done
	return ctx.Err()
}

func (a *Acceptor) stop() []Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for ln := range a.listeners {
		ln.Close()
	}
	conns := make([]Conn, 0, len(a.conns))
	for c := range a.conns {
		conns = append(conns, c)
	}
	return conns
}

// RemoteAddr returns the address of the peer, the zero Addr for a unix socket.
func RemoteAddr(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Origin is what an address counts for: an IPv4 address for itself, and an IPv6 address
// for its network of 64 bits, which one client has all of. Those that are not known count
// as one.
func Origin(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr = addr.Unmap(); addr.Is6() {
		bits = 64
	}
	p, _ := addr.WithZone("").Prefix(bits) // the zero Prefix for no address
	return p
}
