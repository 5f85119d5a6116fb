// Package pgtest runs a private PostgreSQL server for tests: its own data and
// socket in a temporary folder, no port, and no privileges, for it refuses to run
// as root.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testuser"
)

// startLimit is how long a server may take until it answers.
const startLimit = time.Minute

// Password is that of the user "secret", the only one who needs one.
const Password = "pgtest-secret-password"

// access lets everybody in who can reach the socket.
const access = "local all secret scram-sha-256\nlocal all all trust\nlocal replication all trust\n"

// settings keep a server small and apart from the network.
const settings = `
listen_addresses = ''
unix_socket_directories = '%s'
shared_buffers = 32MB
max_connections = 100
autovacuum_naptime = 1h
`

// Server is a running server.
type Server struct {
	dir    string
	bin    string
	user   *syscall.Credential // nil: ourselves
	cmd    *exec.Cmd
	ended  chan struct{}
	log    strings.Builder // written before ready is answered, and after ended
	number atomic.Int64    // of databases
}

// Start runs a server. Stop it at the end; TestMain is the place for a package
// that shares one among its tests.
func Start() (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.user, err = testuser.Of("postgres", "postgresql"); err != nil {
		return nil, err
	}
	if err := s.setUp(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// find returns the folder of the server's programs.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("pgtest: PostgreSQL is missing: apt-get install postgresql")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// makeFolder makes the folder of the server.
func (s *Server) makeFolder() (err error) {
	// A socket's path holds 107 octets at most: the folders of a test are
	// often longer.
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return err
	}
	if s.user == nil {
		return nil
	}
	return os.Chown(s.dir, int(s.user.Uid), int(s.user.Gid))
}

// setUp makes the folder and the data in it.
func (s *Server) setUp() error {
	if err := s.makeFolder(); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	cmd := s.command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(access), 0o600); err != nil {
		return err
	}
	return s.configure()
}

// configure writes the settings. The last one of a name counts.
func (s *Server) configure() error {
	data := filepath.Join(s.dir, "data")
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, settings, s.dir)
	return errors.Join(err, f.Close())
}

// command is a program of the server as the user that it may run as.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	return cmd
}

// run starts the server and waits until it says that it is ready.
func (s *Server) run() error {
	s.cmd = s.command("postgres", "-D", filepath.Join(s.dir, "data"))
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	// A test that is killed leaves no server behind.
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	ready := make(chan bool, 1)
	go s.watch(out, ready)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
		<-s.ended
		return fmt.Errorf("pgtest: the server ended: %s", s.log.String())
	case <-ctx.Done():
		s.signal(syscall.SIGQUIT)
		<-s.ended
		return fmt.Errorf("pgtest: the server was not ready in %s: %s", startLimit, s.log.String())
	}
}

// watch reads the log until the server ends.
func (s *Server) watch(log io.Reader, ready chan<- bool) {
	defer close(s.ended)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		s.log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "database system is ready to accept ") {
			answer(ready, true)
		}
	}
	// It says so in its log, and that is closed when it is gone.
	_ = s.cmd.Wait()
	answer(ready, false)
}

// answer is for the first who waits; later answers are discarded.
func answer(ready chan<- bool, ok bool) {
	select {
	case ready <- ok:
	default:
	}
}

func (s *Server) signal(sig syscall.Signal) {
	// Gone already is as good.
	_ = s.cmd.Process.Signal(sig)
}

// Stop ends the server and removes its data.
func (s *Server) Stop() error {
	if s == nil {
		return nil
	}
	s.signal(syscall.SIGQUIT) // at once, with all its processes
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.signal(syscall.SIGKILL)
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}

// Restart ends the server as a crash does, and starts it again.
func (s *Server) Restart() error {
	s.signal(syscall.SIGQUIT)
	<-s.ended
	return s.run()
}

// Crash ends the server and all its processes at once; its data stays until Stop.
func (s *Server) Crash() {
	s.signal(syscall.SIGQUIT)
	<-s.ended
}

// Replica starts a server that has the data of s and follows it: commits of s return
// from then on when they are on the disks of both. Stop it at the end.
func (s *Server) Replica(tb testing.TB) *Server {
	tb.Helper()
	r := &Server{bin: s.bin, user: s.user}
	if err := r.follow(s); err != nil {
		tb.Fatal(errors.Join(err, os.RemoveAll(r.dir)))
	}
	s.Run(tb, "postgres", `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	s.Run(tb, "postgres", `SELECT pg_reload_conf()`)
	return r
}

func (s *Server) follow(primary *Server) error {
	if err := s.makeFolder(); err != nil {
		return err
	}
	cmd := s.command("pg_basebackup", "-h", primary.dir, "-U", "postgres", "-D", filepath.Join(s.dir, "data"), "-R", "--no-sync", "-c", "fast")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: pg_basebackup: %w: %s", err, out)
	}
	if err := s.configure(); err != nil {
		return err
	}
	return s.run()
}

// Promote has a replica take over.
func (s *Server) Promote(tb testing.TB) {
	tb.Helper()
	s.Run(tb, "postgres", `SELECT pg_promote()`)
}

// Either is the URL of a database on s or on other, whichever of them can be written.
func (s *Server) Either(tb testing.TB, other *Server, database string) string {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	u.RawQuery = url.Values{"host": {s.dir + "," + other.dir}, "target_session_attrs": {"read-write"}}.Encode()
	return u.String()
}

// Database makes an empty database and returns its URL, for the user "postgres".
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	return s.Copy(tb, s.url("postgres", "template1"))
}

// Copy makes a database with what is in the one of a URL, to which no connection may be
// open, and returns its URL, for the user "postgres".
func (s *Server) Copy(tb testing.TB, from string) string {
	tb.Helper()
	u, err := url.Parse(from)
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("test%d", s.number.Add(1))
	s.Run(tb, "postgres", `CREATE DATABASE `+name+` TEMPLATE `+strings.TrimPrefix(u.Path, "/"))
	return s.url("postgres", name)
}

// Secret lets the user "secret", who has to say Password, do everything in a
// database, and returns its URL for that user.
func (s *Server) Secret(tb testing.TB, database string) string {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	s.Run(tb, name, `DO $$ BEGIN CREATE ROLE secret LOGIN PASSWORD '`+Password+`'; EXCEPTION WHEN duplicate_object THEN END $$`)
	s.Run(tb, name, `GRANT ALL ON SCHEMA public TO secret`)
	return s.url("secret", name)
}

// Run runs a statement in a database.
func (s *Server) Run(tb testing.TB, database, statement string) {
	tb.Helper()
	cmd := s.command("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-U", "postgres", "-c", statement, database)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("pgtest: %v: %s", err, out)
	}
}

func (s *Server) url(user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}
