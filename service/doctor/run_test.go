package doctor_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// run starts the next hops and the gateway, and puts a message into the queue.
func (s *seed) run() {
	s.Helper()
	// postconf waits until a file has not been changed for a while.
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.Chtimes(filepath.Join(s.dir, name), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			s.Fatal(err)
		}
	}
	if s.hop != nil {
		for _, port := range []string{"10027", "10028"} {
			s.serve(port, func(conn net.Conn) { talk(conn, s.hop) })
		}
	}
	if s.queuedBefore > 0 {
		s.enqueue()
	}
	switch s.gateway {
	case "stranger":
		s.serve("10025", func(conn net.Conn) { talk(conn, nil) })
		return
	case "down":
		return
	}
	c, problems := config.Load(filepath.Join(s.dir, "config.toml"))
	if len(problems) > 0 {
		return
	}
	if s.gateway == "real" {
		s.serveGateway(c)
		return
	}
	for _, l := range c.Listeners {
		s.serveAt(l.Address, func(conn net.Conn) { standIn(conn, l.Protocol, c.Hostname) })
	}
}

// standIn does as much as a listener of the gateway does before mail comes.
func standIn(conn net.Conn, protocol, hostname string) {
	defer conn.Close()
	if protocol == "milter" {
		conn.Read(make([]byte, 17))
		conn.Write([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0})
		return
	}
	fmt.Fprintf(conn, "220 %s ESMTP\r\n", hostname)
}

// serveGateway runs the gateway until the test ends, and waits until it listens.
func (s *seed) serveGateway(c *config.Config) {
	ctx, cancel := context.WithCancel(s.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, service.Options{
			Path: filepath.Join(s.dir, "config.toml"), Stderr: &lineWaiter{want: "msg=serving", found: ready},
			Clock: time.Now, Version: "test", Signals: make(chan os.Signal),
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		s.Fatalf("the gateway ended: %v", err)
	}
	s.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("gateway: %v", err)
		}
	})
}

// lineWaiter is a log of which one line is waited for.
type lineWaiter struct {
	want  string
	found chan struct{}
	done  bool
}

func (w *lineWaiter) Write(p []byte) (int, error) {
	if !w.done && strings.Contains(string(p), w.want) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}

// serve accepts connections at a port of README.md until the test ends.
func (s *seed) serve(port string, handle func(net.Conn)) {
	s.Helper()
	s.serveAt(fmt.Sprintf("127.0.0.1:%d", s.ports[port]), handle)
}

func (s *seed) serveAt(address string, handle func(net.Conn)) {
	s.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if err != nil {
		s.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handle(conn)
		}
	}()
	s.Cleanup(func() {
		l.Close()
		<-ended
	})
}

// talk is an SMTP server that greets, says what it offers, and takes no mail.
func talk(conn net.Conn, offers []string) {
	defer conn.Close()
	fmt.Fprintf(conn, "220 mail.example.net ESMTP\r\n")
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "QUIT") {
			fmt.Fprintf(conn, "221 bye\r\n")
			return
		}
		fmt.Fprintf(conn, "250-mail.example.net\r\n")
		for _, o := range offers {
			fmt.Fprintf(conn, "250-%s\r\n", o)
		}
		fmt.Fprintf(conn, "250 HELP\r\n")
	}
}

// enqueue puts a message into the queue that came some time ago.
func (s *seed) enqueue() {
	s.Helper()
	q, err := queue.Open(s.Context(), queue.Config{
		Place: queue.Place{Path: filepath.Join(s.dir, "queue.db")}, Clock: func() time.Time { return s.now.Add(-s.queuedBefore) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.Fatal(err)
	}
	from, _ := address.Parse("alice@example.com")
	to, _ := address.Parse("bob@example.net")
	m, err := message.Parse([]byte("From: alice@example.com\r\n\r\nhello\r\n"))
	if err != nil {
		s.Fatal(err)
	}
	err = q.Put(s.Context(), relay.Batch{Copies: []relay.Delivery{{Sender: from, Recipients: []relay.Recipient{{Address: to}}, Message: m}}})
	if err != nil {
		s.Fatal(err)
	}
	if err := q.Stop(s.Context()); err != nil {
		s.Fatal(err)
	}
}
