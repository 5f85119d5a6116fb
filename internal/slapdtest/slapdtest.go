// Package slapdtest runs a private OpenLDAP server for tests: its own
// configuration, database and sockets in a temporary directory, a loopback port
// that the kernel chose, no privileges.
package slapdtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// What the server is set up with.
const (
	// Suffix is the top of the tree.
	Suffix = "dc=example,dc=org"
	// People is where AddPerson puts its entries.
	People = "ou=people," + Suffix
	// AdminDN may read and write everything, with AdminPassword.
	AdminDN       = "cn=admin," + Suffix
	AdminPassword = "secret-admin"
)

// startLimit is how long a server may take until it answers.
const startLimit = 20 * time.Second

// Config says what the server is to have beyond the defaults.
type Config struct {
	// Certificate and Key are PEM; with them the server speaks LDAPS and
	// StartTLS.
	Certificate, Key []byte
	// ClientCA is PEM; with it the server demands a client certificate.
	ClientCA []byte
	// ActiveDirectory makes certificates octet strings without options, whose single values
	// can be changed, and lets the root entry say that this is Active Directory.
	ActiveDirectory bool
	// NoAnonymous refuses searches without a bind.
	NoAnonymous bool
	// Extra is appended to slapd.conf after the database's own lines.
	Extra string
}

// Server is a running slapd.
type Server struct {
	// Port is the TCP port on 127.0.0.1 for LDAP and StartTLS.
	Port int
	// TLSPort is the one for LDAPS; 0 without a certificate.
	TLSPort int

	dir string
	cmd *exec.Cmd
	log *os.File
	// ended is closed when cmd is gone.
	ended chan struct{}
}

// Start runs a server until the test ends.
func Start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	// A socket path holds 108 octets at most; tb.TempDir is often longer.
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{dir: dir}
	tb.Cleanup(func() {
		s.Stop(tb)
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := s.writeConfig(cfg); err != nil {
		tb.Fatal(err)
	}
	s.choosePorts(tb, len(cfg.Certificate) > 0)
	s.Restart(tb)
	s.addTop(tb)
	return s
}

// URL returns the ldap:// URL of the server.
func (s *Server) URL() string { return "ldap://" + s.Addr() }

// TLSURL returns the ldaps:// URL of the server.
func (s *Server) TLSURL() string { return "ldaps://127.0.0.1:" + strconv.Itoa(s.TLSPort) }

// SocketURL returns the ldapi:// URL of the server.
func (s *Server) SocketURL() string { return "ldapi://" + url.PathEscape(s.socket()) }

// Addr returns host and port for LDAP.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

func (s *Server) socket() string { return filepath.Join(s.dir, "ldapi") }

// choosePorts asks the kernel for free ports: slapd can not be given port 0.
func (s *Server) choosePorts(tb testing.TB, tls bool) {
	tb.Helper()
	s.Port = loopback.FreePort(tb)
	if tls {
		s.TLSPort = loopback.FreePort(tb)
	}
}

// Restart starts the server on the same ports and data, after it was stopped.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	program, err := findSlapd()
	if err != nil {
		tb.Fatal(err)
	}
	listen := "ldap://" + s.Addr() + "/ " + s.SocketURL()
	if s.TLSPort != 0 {
		listen += " " + s.TLSURL() + "/"
	}
	s.log, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	// -d 0 keeps it in the foreground, so that it is our child.
	s.cmd = exec.Command(program, "-f", filepath.Join(s.dir, "slapd.conf"), "-h", listen, "-d", "0")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // however it ended: awaitAnswer and Stop look at ended
		close(ended)
	}(s.cmd, s.ended)
	s.awaitAnswer(tb)
}

// Stop ends the server and waits for it. It may be started again by Restart.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(os.Interrupt) // gone already: ended says so
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
	if err := s.log.Close(); err != nil {
		tb.Error(err)
	}
}

// awaitAnswer returns when the server accepts a bind.
func (s *Server) awaitAnswer(tb testing.TB) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(startLimit)
	for {
		c, err := s.dialAdmin()
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-s.ended:
			tb.Fatalf("slapd ended at once:\n%s", s.logText())
		case <-limit:
			tb.Fatalf("slapd does not answer: %v\n%s", err, s.logText())
		}
	}
}

func (s *Server) logText() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) dialAdmin() (*ldap.Conn, error) {
	c, err := ldap.DialURL(s.SocketURL())
	if err != nil {
		return nil, err
	}
	c.SetTimeout(startLimit)
	if err := c.Bind(AdminDN, AdminPassword); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// findSlapd knows that daemons are not in everybody's path.
func findSlapd() (string, error) {
	for _, name := range []string{"slapd", "/usr/sbin/slapd", "/usr/local/libexec/slapd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("slapd is missing: install it (apt-get install slapd ldap-utils)")
}
