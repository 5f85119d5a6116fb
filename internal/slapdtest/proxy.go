package slapdtest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Fault copies a server's answers to its client, as well as it cares to.
type Fault func(client, server net.Conn)

// Proxy stands between a client and a server and changes the answers as its
// Fault does.
type Proxy struct {
	*Hostile
	server string
	fault  atomic.Pointer[Fault]
}

// StartProxy runs a proxy in front of server (host:port) until the test ends.
func StartProxy(tb testing.TB, server string) *Proxy {
	tb.Helper()
	p := &Proxy{server: server}
	p.Set(Pass)
	p.Hostile = StartHostile(tb, p.serve)
	return p
}

// Set says how the connections from now on are treated.
func (p *Proxy) Set(f Fault) { p.fault.Store(&f) }

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		client.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client) // ends with either connection
		server.Close()
	})
	(*p.fault.Load())(client, server)
	both.Wait()
}

// Pass is no fault.
func Pass(client, server net.Conn) {
	_, _ = io.Copy(client, server)
	client.Close()
}

// Cut hands over n octets and then resets the connection.
func Cut(n int64) Fault {
	return func(client, server net.Conn) {
		_, _ = io.CopyN(client, server, n)
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
	}
}

// Stall hands over n octets and then nothing.
func Stall(n int64) Fault {
	return func(client, server net.Conn) {
		_, _ = io.CopyN(client, server, n)
		_, _ = io.Copy(io.Discard, server)
	}
}

// Slow hands over n octets at a time with a pause after each.
func Slow(n int64, pause time.Duration) Fault {
	return func(client, server net.Conn) {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			if _, err := io.CopyN(client, server, n); err != nil {
				return
			}
			<-tick.C
		}
	}
}

// Huge says that 2 GiB follow.
func Huge(client, server net.Conn) {
	_, _ = io.WriteString(client, "\x30\x84\x7f\xff\xff\xff\x02\x01\x01")
	_, _ = io.Copy(io.Discard, server)
}
