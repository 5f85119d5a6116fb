package service

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// socketName is what PostgreSQL's clients look for in the folder of a URL.
const socketName = ".s.PGSQL.5432"

// wire is a socket between the service and its database, which can be cut, or
// made to swallow what is said.
type wire struct {
	t      *testing.T
	dir    string // with our socket
	target string

	mu     sync.Mutex
	cond   *sync.Cond
	silent bool
	down   bool
	listen net.Listener
	conns  []net.Conn
	work   sync.WaitGroup
}

// newWire returns a wire, and the URL of the database through it.
func newWire(t *testing.T, database string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	// The name of a socket has 107 octets at most.
	dir, err := os.MkdirTemp("", "wire")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, dir: dir, target: filepath.Join(u.Query().Get("host"), socketName)}
	w.cond = sync.NewCond(&w.mu)
	w.connect()
	t.Cleanup(func() {
		w.cut()
		os.RemoveAll(dir)
	})
	u.RawQuery = url.Values{"host": {dir}}.Encode()
	return w, u.String()
}

func (w *wire) connect() {
	w.t.Helper()
	l, err := net.Listen("unix", filepath.Join(w.dir, socketName))
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.listen, w.silent, w.down = l, false, false
	w.mu.Unlock()
	w.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.work.Go(func() { w.carry(c) })
		}
	})
}

// cut ends the connections and refuses new ones.
func (w *wire) cut() {
	w.mu.Lock()
	w.silent, w.down = false, true
	w.listen.Close()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	w.cond.Broadcast()
	w.mu.Unlock()
	w.work.Wait()
}

// hush keeps the connections and passes nothing on.
func (w *wire) hush(silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = silent
	w.cond.Broadcast()
}

func (w *wire) carry(c net.Conn) {
	server, err := net.Dial("unix", w.target)
	if err != nil {
		c.Close()
		return
	}
	w.mu.Lock()
	if w.down { // since it was accepted
		w.mu.Unlock()
		server.Close()
		c.Close()
		return
	}
	w.conns = append(w.conns, c, server)
	w.mu.Unlock()
	w.work.Go(func() { w.copy(server, c) })
	w.copy(c, server)
}

func (w *wire) copy(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		w.mu.Lock()
		for w.silent {
			w.cond.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}

// TestOutageOfTheDatabase: while the database is away or silent what depends on
// the store is deferred, in time, and so is all that needs the queue; when it is back mail
// flows again, and what was marked meanwhile counts.
func TestOutageOfTheDatabase(t *testing.T) {
	server, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	database := server.Database(t)
	line, through := newWire(t, database)
	w := startWorld(t, strings.Replace(storedConfig, "%DIR%/store.db", through, 1)+"[lookup]\ntimeout = \"2s\"\n")
	key, err := store.CreateKey(filepath.Join(w.dir, "store.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: database, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.settled(s)
	if _, err := s.PutIdentity(t.Context(), store.Imported, w.issue("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	bob := put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}})))
	// Who was found already is remembered: each phase has a new recipient.
	for _, name := range []string{"answers", "away", "back", "silent", "last"} {
		put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{name + "@enc.example"}})))
	}
	// What the gateway has not seen yet would empty its cache later.
	if err := s.SetMark(t.Context(), put(t, s, testpki.Must(w.ca.Issue(testpki.Leaf{}))), store.Blocked, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.settled(s)
	all := func(name string, code int) {
		t.Helper()
		for _, to := range []string{name + "@enc.example", "dave@signed.example", "erin@plain.example"} {
			w.wantReply(name, to, code)
		}
	}
	all("answers", 0)
	w.wantReply("answers", "bob@enc.example", 0)

	line.cut()
	w.log.wait(t, "certificate store unavailable")
	all("away", 451)
	line.connect()
	w.log.wait(t, "certificate store available again")
	all("back", 0)

	line.hush(true)
	all("silent", 451)
	if err := s.SetMark(t.Context(), bob, store.Blocked, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	line.hush(false)
	w.log.waitCount(t, "certificate store available again", 2)
	w.settled(s)
	w.wantReply("blocked meanwhile", "bob@enc.example", 550)
	w.wantReply("not blocked", "last@enc.example", 0)
	w.stop()
	line.cut()
}
