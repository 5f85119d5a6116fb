package smtpclient

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// server is a next hop that speaks by a script: answer returns the reply to a
// command line, "" is the usual one, and the connection ends after one with "!" at its end.
type server struct {
	t      *testing.T
	offers string // EHLO keywords
	answer func(conn int, line string) string
	noBDAT bool        // what follows BDAT is read as commands
	begun  string      // what has come of a message by BDAT
	tls    *tls.Config // for STARTTLS
	split  bool        // replies are written octet by octet

	mu    sync.Mutex
	conns int
	last  net.Conn // the last connection, as it is written to
	lines []string // commands
	data  []string // as on the wire, with dots and end
	wg    sync.WaitGroup
}

// start serves and returns a client for it.
func (s *server) start(c setup) *single {
	s.t.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if strings.HasPrefix(c.Address, "unix:") {
		network, addr = "unix", strings.TrimPrefix(c.Address, "unix:")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	if network == "tcp" {
		c.Address = ln.Addr().String()
	}
	c.Hostname = "gw.example.com"
	if c.TLS == "" {
		c.TLS = "off"
	}
	cl := connect(s.t, c)
	s.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			n := s.conns
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(nc, n) })
		}
	})
	s.t.Cleanup(func() {
		ln.Close()
		cl.Close()
		s.wg.Wait()
	})
	return cl
}

// connections is how many there have been.
func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// beforeTLS reports whether a command may come in the clear where TLS is required.
func beforeTLS(line string) bool {
	return slices.ContainsFunc([]string{"EHLO", "LHLO", "STARTTLS", "QUIT"}, func(verb string) bool { return strings.HasPrefix(line, verb) })
}

// piece is how much of a reply of size octets is written at once.
func (s *server) piece(size int) int {
	if s.split {
		return 1
	}
	return max(size, 1)
}

func (s *server) say(conn int, line, usual string) string {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		if a := answer(conn, line); a != "" {
			return a
		}
	}
	return usual
}

// interject writes to the client what it has not asked for. When it returns, the client
// can read that.
func (s *server) interject(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.WriteString(s.last, text+"\r\n"); err != nil {
		s.t.Error(err)
	}
}

func (s *server) serve(nc net.Conn, n int) {
	defer func() { nc.Close() }()
	r := bufio.NewReader(nc)
	reply := func(text string) bool {
		text, end := strings.CutSuffix(text, "!")
		if !end {
			text += "\r\n"
		}
		for part := range slices.Chunk([]byte(text), s.piece(len(text))) {
			if _, err := nc.Write(part); err != nil {
				return false
			}
		}
		return !end
	}
	opened := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = nc
	}
	opened()
	if !reply(s.say(n, "", "220 hop")) {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		if _, secured := nc.(*tls.Conn); s.tls != nil && !secured && !beforeTLS(line) {
			s.t.Errorf("in the clear: %q", line)
		}
		usual := "250 2.0.0 ok"
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO", "LHLO":
			usual = "250 hop"
			if s.offers != "" {
				usual = "250-hop\r\n250-" + strings.ReplaceAll(s.offers, ", ", "\r\n250-") + "\r\n250 LAST"
			}
		case "STARTTLS":
			usual = "220 go"
		case "DATA":
			usual = "354 go"
		case "BDAT":
			if !s.chunk(line, r) {
				return
			}
		case "QUIT":
			reply("221 bye")
			return
		}
		answer := s.say(n, line, usual)
		if !reply(answer) {
			return
		}
		if line == "STARTTLS" && s.tls != nil {
			nc = tls.Server(nc, s.tls)
			r.Reset(nc)
			opened()
		}
		if strings.HasPrefix(answer, "354") && !s.readData(n, r, reply) {
			return
		}
	}
}

func (s *server) readData(n int, r *bufio.Reader, reply func(string) bool) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		b.WriteString(line)
		if line == ".\r\n" {
			break
		}
	}
	s.mu.Lock()
	s.data = append(s.data, b.String())
	s.mu.Unlock()
	return reply(s.say(n, ".", "250 2.0.0 queued"))
}

// commands returns the commands with the prefix.
func (s *server) commands(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.lines), func(l string) bool { return !strings.HasPrefix(l, prefix) })
}
