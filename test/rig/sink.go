package rig

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Delivery is a message that the sink accepted.
type Delivery struct {
	From   string
	Params string // what followed the path in MAIL FROM
	To     []string
	// Data are the octets between DATA and the final dot, unstuffed.
	Data []byte
}

// Sink is an SMTP server that keeps every message. It offers neither 8BITMIME
// nor SMTPUTF8, so that it sees what the plainest of hosts would see. A
// recipient whose local part begins with "defer" gets 451, with "refuse" 550.
type Sink struct {
	listener net.Listener

	mu      sync.Mutex
	kept    []Delivery
	changed chan struct{} // closed and replaced at each delivery
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

// StartSink starts a sink that ends with the test.
func StartSink(tb testing.TB) *Sink {
	tb.Helper()
	return StartSinkAt(tb, "127.0.0.1:0")
}

// StartSinkAt starts a sink on an address, for a next hop that comes up late.
func StartSinkAt(tb testing.TB, addr string) *Sink {
	tb.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Sink{listener: l, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	tb.Cleanup(s.close)
	return s
}

// Addr returns the address of the sink, "127.0.0.1:port".
func (s *Sink) Addr() string { return s.listener.Addr().String() }

// All returns everything delivered so far.
func (s *Sink) All() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// Wait returns the first delivery that matches, and fails the test with a list
// of what did arrive when none does in time. what says in words what is
// expected.
func (s *Sink) Wait(tb testing.TB, what string, match func(Delivery) bool) Delivery {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	for {
		s.mu.Lock()
		changed := s.changed
		i := slices.IndexFunc(s.kept, match)
		if i >= 0 {
			defer s.mu.Unlock()
			return s.kept[i]
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			tb.Fatalf("not delivered: %s\narrived instead: %s", what, s.summary())
		}
	}
}

// Count returns how many messages were delivered to an address.
func (s *Sink) Count(to string) (n int) {
	for _, d := range s.All() {
		if slices.Contains(d.To, to) {
			n++
		}
	}
	return n
}

// WaitCount waits until n messages were delivered to an address. what says in words what is expected.
func (s *Sink) WaitCount(tb testing.TB, what, to string, n int) {
	tb.Helper()
	s.Wait(tb, what, func(Delivery) bool {
		found := 0
		for _, d := range s.kept { // Wait holds the lock
			if slices.Contains(d.To, to) {
				found++
			}
		}
		return found >= n
	})
}

// summary lists the last deliveries, for a failure.
func (s *Sink) summary() string {
	var b strings.Builder
	all := s.All()
	for _, d := range all[max(0, len(all)-8):] {
		fmt.Fprintf(&b, "\n  %q -> %q, %d octets", d.From, d.To, len(d.Data))
	}
	return b.String()
}

func (s *Sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

func (s *Sink) close() {
	s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Sink) keep(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, d)
	close(s.changed)
	s.changed = make(chan struct{})
}

// serve speaks SMTP on one connection until it ends.
func (s *Sink) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	reply := func(text string) { io.WriteString(conn, text+"\r\n") }
	reply("220 sink.test ESMTP")
	var d Delivery
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			reply("250-sink.test\r\n250-SIZE 104857600\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN")
		case "HELO", "NOOP":
			reply("250 2.0.0 Ok")
		case "RSET":
			d = Delivery{}
			reply("250 2.0.0 Ok")
		case "MAIL":
			d = Delivery{}
			d.From, d.Params = path(rest)
			reply("250 2.1.0 Ok")
		case "RCPT":
			to, _ := path(rest)
			reply(d.recipient(to))
		case "DATA":
			if len(d.To) == 0 {
				reply("503 5.5.1 no recipient")
				continue
			}
			reply("354 go on")
			if d.Data, err = readData(r); err != nil {
				return
			}
			s.keep(d)
			reply("250 2.0.0 kept")
			d = Delivery{}
		case "QUIT":
			reply("221 2.0.0 bye")
			return
		default:
			reply("502 5.5.1 what?")
		}
	}
}

// recipient adds to, or not, and returns the reply.
func (d *Delivery) recipient(to string) string {
	switch {
	case strings.HasPrefix(to, "defer"):
		return "451 4.2.0 the sink defers this one"
	case strings.HasPrefix(to, "refuse"):
		return "550 5.1.1 the sink refuses this one"
	}
	d.To = append(d.To, to)
	return "250 2.1.5 Ok"
}

// path returns what stands in angle brackets, where a quoted local part may hold
// another bracket, and what follows them.
func path(s string) (addr, params string) {
	start, quoted := strings.IndexByte(s, '<'), false
	for i := start + 1; i < len(s) && start >= 0; i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return s[start+1 : i], strings.TrimSpace(s[i+1:])
		}
	}
	return s, ""
}

// readData reads up to the line with the single dot and takes dots out again
// (RFC 5321 section 4.5.2). Only CRLF ends a line; all other octets are kept as
// they are.
func readData(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	start := true // at the start of a line
	for {
		chunk, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if start && string(chunk) == ".\r\n" {
			return b.Bytes(), nil
		}
		if start && len(chunk) > 0 && chunk[0] == '.' {
			chunk = chunk[1:]
		}
		b.Write(chunk)
		start = bytes.HasSuffix(b.Bytes(), []byte("\r\n"))
	}
}
