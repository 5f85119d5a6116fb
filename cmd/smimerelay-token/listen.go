//go:build cgo && unix

package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/certs/token/cryptoki"
)

// server serves the token of one URI to who connects.
type server struct {
	uri   string
	group sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// serve listens on a unix socket that its owner and group may use, until SIGTERM.
func serve(path, uri string) error {
	// A URI or a library that is none is reported at once.
	if _, err := openToken(uri); err != nil {
		return err
	}
	l, err := listenAt(path)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		_ = l.Close()
	}()
	s := &server{uri: uri, conns: map[net.Conn]bool{}}
	defer s.close()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		s.keep(conn, true)
		s.group.Go(func() { s.talk(conn) })
	}
}

// keep adds a connection to those that close ends, or removes it.
func (s *server) keep(conn net.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.conns[conn] = true
	} else {
		delete(s.conns, conn)
	}
}

// close ends all connections and waits for the sessions behind them.
func (s *server) close() {
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.group.Wait()
}

func (s *server) talk(conn net.Conn) {
	defer conn.Close()
	defer s.keep(conn, false)
	err := speak(conn, conn, func(asked string) (*cryptoki.Token, error) {
		if asked != "" && asked != s.uri { // who connects does not choose
			return nil, contract.Errorf(contract.Refused, "this is the socket of another token")
		}
		return openToken(s.uri)
	})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		log.Print(err)
	}
}

func listenAt(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s: is there, and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s: another process listens there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	old := unix.Umask(0o117)
	defer unix.Umask(old)
	return net.Listen("unix", path)
}
