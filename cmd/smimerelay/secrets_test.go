package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The passwords of the set-up.
const (
	p12Password  = "correct-horse-battery-staple"
	ldapPassword = "ldap-bind-password-of-nobody"
	bearerToken  = "bearer-token-0123456789-abcdef"
)

const secretsConfig = `
hostname = "gw.example.org"
domains = ["example.org"]
postmaster = "postmaster@example.org"
[log]
level = "debug"
[admin]
address = "unix:%DIR%/admin"
[queue]
path = "queue.db"
[store]
url = "store.db"
key_file = "store.key"
[ca]
url = "http://pki.example.org/"
[next_hop]
address = "127.0.0.1:1"
tls = "off"
[[listener]]
name = "out"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["127.0.0.0/8"]
[[listener]]
name = "in"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "inbound"
[identities]
path = "keys"
password_file = "%PASSWORD%"
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
[[directory]]
name = "ldap"
type = "ldap"
urls = ["ldap://127.0.0.1:1"]
bind_dn = "cn=gateway"
password_file = "ldap.password"
base = "dc=example,dc=net"
[[directory]]
name = "web"
type = "https"
url = "https://127.0.0.1:1/{addr}"
token_file = "token"
[[rule]]
name = "secret"
recipient = ["enc.example"]
sign = "require"
encrypt = "require"
no_certificate = "reject"
[[rule]]
name = "default"
sign = "require"
encrypt = "never"
`

// secrets is a set-up with a key of each kind in each place, and everything that
// the program said about it.
type secrets struct {
	*shelf
	needles needles
	heard   map[string][]byte // by where
	ids     map[string]*certs.Identity
	program string
}

func newSecrets(t *testing.T) *secrets {
	t.Helper()
	s := &secrets{shelf: newShelf(t), needles: needles{}, heard: map[string][]byte{}, ids: map[string]*certs.Identity{}}
	var err error
	if s.program, err = exec.LookPath("smimerelay"); err != nil {
		t.Fatal(err)
	}
	key, err := store.ReadKey(s.path("store.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.needles.octets("the key of the store", key)
	for what, word := range map[string]string{"a PKCS #12 password": p12Password, "the LDAP password": ldapPassword, "the token": bearerToken} {
		s.needles.word(what, word)
	}
	s.write("p12.password", []byte(p12Password+"\n"))
	s.write("wrong.password", []byte(strings.ToUpper(p12Password)+"\n"))
	s.needles.word("a wrong password", strings.ToUpper(p12Password))
	s.write("ldap.password", []byte(ldapPassword+"\n"))
	s.write("token", []byte(bearerToken+"\n"))
	s.configure("p12.password")
	if err := os.Mkdir(s.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for addr, kind := range map[string]string{
		"alice@example.org": "rsa2048", "erika@example.org": "p256", "dora@example.org": "ed25519",
		"postmaster@example.org": "p384", "frank@example.org": "rsa2048",
	} {
		id := s.issue(testpki.Leaf{Addresses: []string{addr}, Key: kind})
		s.ids[addr] = id
		s.needles.key(t, addr, id.Key)
	}
	s.write("keys/erika.pem", s.pem("erika@example.org"))
	s.write("keys/dora.p12", testpki.Must((*testpki.Identity)(s.ids["dora@example.org"]).PKCS12(p12Password)))
	s.write("alice.p12", testpki.Must((*testpki.Identity)(s.ids["alice@example.org"]).PKCS12(p12Password)))
	s.write("postmaster.pem", s.pem("postmaster@example.org"))
	s.write("frank.pem", s.pem("frank@example.org"))
	bob := s.issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}, Key: "rsa2048"})
	s.put(bob)
	s.write("bob.pem", testpki.EncodeCertificates(bob.Certificate))
	s.write("letter.eml", []byte("From: alice@example.org\r\nTo: bob@enc.example\r\nSubject: x\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n\r\nHello.\r\n"))
	return s
}

func (s *secrets) pem(addr string) []byte {
	return testpki.Must((*testpki.Identity)(s.ids[addr]).PEM())
}

func (s *secrets) configure(password string) {
	s.write("config.toml", []byte(strings.NewReplacer("%DIR%", s.dir, "%PASSWORD%", password).Replace(secretsConfig)))
}

// hear runs a verb and keeps what it says, wanting an exit status.
func (s *secrets) hear(status int, args ...string) []byte {
	s.t.Helper()
	cmd := exec.Command(s.program, args...)
	cmd.Dir = s.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		s.t.Errorf("%q: %v instead of %d\n%s", args, err, status, &errs)
	}
	where := fmt.Sprint(len(s.heard), " ", args)
	s.heard[where] = append(bytes.Clone(out.Bytes()), errs.Bytes()...)
	return out.Bytes()
}

// TestNoSecretIsTold runs everything at debug level, with passwords right and
// wrong, and looks for private keys, passwords and the key of the store in all
// that was printed, logged or written.
func TestNoSecretIsTold(t *testing.T) {
	s := newSecrets(t)
	s.useVerbs()
	s.knowMade()
	s.serve()
	for where, text := range s.heard {
		s.needles.in(t, where, text)
	}
	for _, pattern := range []string{"store.db*", "queue.db*", "core*"} {
		files, err := filepath.Glob(s.path(pattern))
		if err != nil || len(files) == 0 && pattern != "core*" {
			t.Errorf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			s.needles.in(t, file, testpki.Must(os.ReadFile(file)))
		}
	}
	if files, err := filepath.Glob(s.path("core*")); err != nil || len(files) > 0 {
		t.Errorf("a core file: %v, %v", files, err)
	}
}

func (s *secrets) useVerbs() {
	s.t.Helper()
	config := func(args ...string) []string { return append(args, "--config", "config.toml") }
	s.hear(1, config("cert", "import", "--password-file", "wrong.password", "alice.p12")...)
	s.hear(0, config("cert", "import", "--password-file", "p12.password", "--json", "alice.p12")...)
	s.hear(0, config("cert", "import", "--force", "postmaster.pem", "frank.pem")...)
	s.hear(0, config("check")...)
	s.hear(0, config("check", "--json")...)
	s.hear(0, config("cert", "list", "--json")...)
	s.hear(0, config("cert", "list")...)
	for _, addr := range []string{"alice@example.org", "bob@enc.example"} {
		s.hear(0, config("cert", "show", addr)...)
		s.hear(0, config("cert", "show", "--json", addr)...)
	}
	s.hear(0, config("cert", "show", "keys/erika.pem")...)
	s.hear(0, config("cert", "pin", sha(s.ids["alice@example.org"]))...)
	s.hear(0, config("cert", "block", "frank.pem", "--note", "by test")...)
	s.hear(1, config("cert", "remove", sha(s.ids["alice@example.org"]))...)
	s.hear(0, config("cert", "expiring", "--json")...)
	s.hear(0, config("cert", "export", "alice@example.org")...)
	s.hear(2, config("cert", "export", "--private-key", "alice@example.org")...)
	s.hear(0, config("cert", "export", "--private-key", "--format", "p12", "--password-file", "p12.password", "-o", "out.p12", "alice@example.org")...)
	s.hear(0, config("cert", "import", "--password-file", "p12.password", "out.p12")...)
	s.hear(0, config("cert", "lookup", "--json", "bob@enc.example")...)
	s.hear(1, config("cert", "lookup", "nobody@example.net")...)
	s.hear(0, config("explain", "--json", "--from", "alice@example.org", "--to", "bob@enc.example")...)
	s.hear(0, config("ca", "init", "--key", "p256", "--organization", "Example", "--country", "DE", "--root-out", "root.p12", "--password-file", "p12.password", "--json")...)
	s.hear(0, config("ca", "show", "--json")...)
	s.hear(0, config("cert", "issue", "--json", "--key", "rsa2048", "--out", "grace.p12", "--password-file", "p12.password", "grace@example.org")...)
	s.hear(0, config("cert", "issue", "heidi@example.org")...)
	s.hear(2, "sign", "--identity", "alice.p12", "--password-file", "wrong.password", "letter.eml")
	s.hear(2, "sign", "--identity", "alice.p12", "letter.eml")
	signed := s.hear(0, "sign", "--identity", "alice.p12", "--password-file", "p12.password", "letter.eml")
	s.write("signed.eml", signed)
	s.hear(0, "verify", "--trust", "ca.pem", "--json", "signed.eml")
	s.write("encrypted.eml", s.hear(0, "encrypt", "--to", "frank.pem", "letter.eml"))
	s.hear(0, "decrypt", "--identity", "frank.pem", "encrypted.eml")
	s.hear(1, "decrypt", "--identity", "keys/erika.pem", "encrypted.eml")
	s.hear(2, "decrypt", "--identity", "store.db", "encrypted.eml")
	s.configure("wrong.password")
	s.hear(78, config("check", "--json")...)
	s.hear(78, config("serve")...)
	s.configure("p12.password")
}

// knowMade looks also for the keys that the program made.
func (s *secrets) knowMade() {
	s.t.Helper()
	has := true
	entries, err := s.store.Find(s.t.Context(), store.Query{HasKey: &has})
	if err != nil || len(entries) < 6 {
		s.t.Fatalf("%d keys in the store: %v", len(entries), err)
	}
	for _, e := range entries {
		id, err := s.store.Identity(s.t.Context(), e.Fingerprint)
		if err != nil {
			s.t.Fatal(err)
		}
		s.needles.key(s.t, e.Certificate.Subject.String(), id.Key)
	}
	root, err := file.ReadIdentities(s.path("root.p12"), p12Password)
	if err != nil {
		s.t.Fatal(err)
	}
	s.needles.key(s.t, "the root", root[0].Key)
}

// serve has a gateway sign, encrypt, decrypt and reload, and ends it with a dump
// of all its stacks.
func (s *secrets) serve() {
	s.t.Helper()
	g := s.start()
	for _, from := range []string{"alice@example.org", "erika@example.org", "dora@example.org", "nobody@example.org"} {
		for _, to := range []string{"bob@enc.example", "carol@example.net"} {
			g.send("out", from, to, []byte(fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: x\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n\r\nHello.\r\n", from, to)))
		}
	}
	for _, to := range []string{"alice@example.org", "erika@example.org"} {
		letter := testpki.Must(message.Parse([]byte("From: bob@enc.example\r\nTo: " + to + "\r\nSubject: x\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n\r\nHello.\r\n")))
		encrypted, err := smime.Encrypt(letter, []*x509.Certificate{s.ids[to].Certificate}, smime.EncryptOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		g.send("in", "bob@enc.example", to, encrypted.Bytes())
		g.send("in", "bob@enc.example", to, bytes.Replace(encrypted.Bytes(), []byte("MII"), []byte("MIJ"), 1))
	}
	for password, word := range map[string]string{"wrong.password": "reload failed", "p12.password": "msg=reloaded"} {
		s.configure(password)
		g.signal(syscall.SIGHUP)
		g.wait(word)
	}
	s.configure("p12.password")
	s.heard["metrics"] = g.metrics()
	s.hear(0, "queue", "list", "--json", "--config", "config.toml")
	for id := range 4 {
		s.hear(0, "queue", "show", "--json", "--config", "config.toml", fmt.Sprint(id+1))
		s.hear(0, "queue", "show", "--message", "--config", "config.toml", fmt.Sprint(id+1))
	}
	g.signal(syscall.SIGQUIT)
	<-g.ended
	log := g.text()
	for _, want := range []string{"outcome=\"signed, encrypted\"", "outcome=signed", "SIGQUIT", "goroutine 1 "} {
		if !strings.Contains(log, want) {
			s.t.Errorf("the run lacks %s:\n%s", want, log)
		}
	}
	s.heard["the log"] = []byte(log)
}

// served is a gateway at work.
type served struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	ended chan struct{}

	mu   sync.Mutex
	cond *sync.Cond
	log  bytes.Buffer
}

func (s *secrets) start() *served {
	s.t.Helper()
	g := &served{t: s.t, dir: s.dir, ended: make(chan struct{}), cmd: exec.Command(s.program, "serve", "--config", "config.toml")}
	g.cond = sync.NewCond(&g.mu)
	g.cmd.Dir = s.dir
	g.cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	g.cmd.Stdout, g.cmd.Stderr = g, g
	if err := g.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(g.ended)
		_ = g.cmd.Wait() // a dump ends it badly
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cond.Broadcast()
	}()
	s.t.Cleanup(func() {
		_ = g.cmd.Process.Kill() // gone already
		<-g.ended
	})
	g.wait("msg=serving")
	return g
}

// Write keeps the log.
func (g *served) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cond.Broadcast()
	return g.log.Write(p)
}

func (g *served) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// wait waits for words in the log.
func (g *served) wait(words string) {
	g.t.Helper()
	late := false
	timer := time.AfterFunc(time.Minute, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		late = true
		g.cond.Broadcast()
	})
	defer timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for !strings.Contains(g.log.String(), words) {
		select {
		case <-g.ended:
			late = true
		default:
		}
		if late {
			g.t.Fatalf("the log has no %q:\n%s", words, g.log.String())
		}
		g.cond.Wait()
	}
}

func (g *served) signal(sig os.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(sig); err != nil {
		g.t.Fatal(err)
	}
}

// send hands a message in, whatever the gateway says to it.
func (g *served) send(listener, from, to string, raw []byte) {
	g.t.Helper()
	_, rest, _ := strings.Cut(g.text(), "msg=listening listener="+listener+" ")
	_, rest, _ = strings.Cut(rest, "listen=")
	address, _, _ := strings.Cut(rest, "\n")
	c, err := smtp.Dial(address)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	if errors.Join(c.Mail(from), c.Rcpt(to)) != nil {
		return
	}
	if w, err := c.Data(); err == nil {
		_, _ = w.Write(raw)
		_ = w.Close()
	}
}

func (g *served) metrics() []byte {
	g.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.dir, "admin"))
		},
	}}
	r, err := client.Get("http://admin/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Body.Close()
	return testpki.Must(io.ReadAll(r.Body))
}
