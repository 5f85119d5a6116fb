package demo

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
)

// The cast. Alice is ours; the gateway holds her key. The others are elsewhere.
const (
	alice = "alice@example.org"
	bob   = "bob@example.net"   // has a certificate
	carol = "carol@example.net" // has none
	dave  = "dave@example.net"  // has one that expired
	erin  = "erin@example.com"  // has a certificate (elliptic curve)
	frank = "frank@example.com" // has none
	greta = "greta@example.edu" // no encryption required
)

// marker names the file that tells a demo's folder from any other.
const marker = ".smimerelay-demo"

// world is the set-up in a folder.
type world struct {
	dir    string
	clock  func() time.Time
	ca     *authority
	people map[string]*certs.Identity
	ports  ports
	serve  bool // with a console
}

// ports are the TCP ports on the loopback address.
type ports struct{ outbound, inbound, sink, console int }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }
func (w *world) outbox() string          { return w.path("outbox") }
func (w *world) log() string             { return w.path("gateway.log") }
func (w *world) identityFile(addr string) string {
	return filepath.Join(w.path("identities"), addr+".pem")
}
func (w *world) identity(addr string) *certs.Identity { return w.people[addr] }

// makeWorld makes the authority, the people and the files in dir.
func makeWorld(dir string, serve bool, clock func() time.Time) (w *world, err error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	a, err := newAuthority(clock)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	w = &world{dir: dir, clock: clock, serve: serve, ca: a, people: map[string]*certs.Identity{}}
	if err := w.write("ca.pem", file.EncodeCertificates(w.ca.anchors()), 0o644); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		address, key string
		expired      bool
	}{{alice, "rsa2048", false}, {bob, "rsa2048", false}, {dave, "p256", true}, {erin, "p256", false}} {
		if err := w.person(p.address, p.key, p.expired); err != nil {
			return nil, err
		}
	}
	if w.ports, err = choosePorts(); err != nil {
		return nil, err
	}
	return w, w.write("config.toml", []byte(w.config()), 0o644)
}

// contents are what a demo's folder may hold, so that it can be replaced.
var contents = []string{
	"ca.pem", "certificates", "config.toml", "gateway.log", "identities", "keys", "outbox",
	"console.db", "console.db-shm", "console.db-wal", "history.db", "history.db-shm", "history.db-wal",
	"queue.db", "queue.db.handed", "queue.db.lock", "queue.db-shm", "queue.db-wal",
	"store.db", "store.db-shm", "store.db-wal", "store.key", marker,
}

// prepare makes dir an empty demo's folder. One that holds something else is
// left alone.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
			return fmt.Errorf("%s: not empty, and not the folder of an earlier demo; use another folder with --dir", dir)
		}
		for _, name := range contents {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	for _, sub := range []string{"identities", "certificates", "outbox"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	const text = "Created by smimerelay demo: this folder is emptied when the demo runs again.\n"
	return os.WriteFile(filepath.Join(dir, marker), []byte(text), 0o644)
}

// person makes an identity: all of them are in identities for users who want to
// look into the messages, and the certificates of the others are in the gateway's
// directory.
func (w *world) person(addr, key string, expired bool) error {
	from := w.clock()
	if expired {
		from = from.AddDate(-2, 0, 0)
	}
	id, err := w.ca.issue(addr, key, from)
	if err != nil {
		return err
	}
	whole, err := file.EncodePEM(id, "")
	if err != nil {
		return err
	}
	w.people[addr] = id
	if err := w.write(filepath.Join("identities", addr+".pem"), whole, 0o600); err != nil {
		return err
	}
	if addr == alice {
		return nil
	}
	return w.write(filepath.Join("certificates", addr+".pem"), file.EncodeCertificates(append([]*x509.Certificate{id.Certificate}, id.Chain...)), 0o644)
}

func (w *world) write(name string, data []byte, mode os.FileMode) error {
	return os.WriteFile(w.path(name), data, mode)
}

// config is the gateway's configuration.
func (w *world) config() string {
	return fmt.Sprintf(`# Made by "smimerelay demo". Mail from local users arrives at the first listener,
# mail from outside by the second.
hostname = "gw.example.org"
domains = ["example.org"]
postmaster = "postmaster@example.org"

[[listener]]
name = "outbound"
protocol = "smtp"
address = "127.0.0.1:%d"
direction = "outbound"
networks = ["127.0.0.0/8"]

[[listener]]
name = "inbound"
protocol = "smtp"
address = "127.0.0.1:%d"
direction = "inbound"

[next_hop]
address = "127.0.0.1:%d"
tls = "off"

[queue]
path = "queue.db"

[store]
url = "store.db"
key_file = "store.key"

[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false

[[directory]]
name = "partners"
type = "files"
path = "certificates"

[[rule]]
name = "confidential"
direction = "outbound"
recipient = ["example.net"]
sign = "require"
encrypt = "require"
no_certificate = "reject"

[[rule]]
name = "project"
direction = "outbound"
recipient = ["example.com"]
sign = "require"
encrypt = "require"
no_certificate = "strip"

[[rule]]
name = "default"
sign = "prefer"
encrypt = "never"
`, w.ports.outbound, w.ports.inbound, w.ports.sink) + w.console()
}

// console is the section of the console, "" where there is none.
func (w *world) console() string {
	if !w.serve {
		return ""
	}
	return fmt.Sprintf(`
[console]
address = "127.0.0.1:%d"
`, w.ports.console)
}

// choosePorts takes 2525 to 2528 where they are free, so that the printed
// command is the same every time, and others where they are not.
func choosePorts() (ports, error) {
	var got [4]int
	for i := range got {
		port, err := freePort(2525 + i)
		if err != nil {
			return ports{}, err
		}
		got[i] = port
	}
	return ports{outbound: got[0], inbound: got[1], sink: got[2], console: got[3]}, nil
}

func freePort(preferred int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", preferred))
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 0, err
		}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// keys returns the one identity of a person.
func (w *world) keys(addr string) certs.Keys { return certs.NewKeys(w.clock, w.people[addr]) }
