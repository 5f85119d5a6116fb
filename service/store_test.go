package service

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// storedConfig is that of a service with a store and one SMTP listener for mail from
// inside. Mail to enc.example must be encrypted, to signed.example signed.
const storedConfig = `
hostname = "gw.example.org"
domains = ["example.org"]
postmaster = "postmaster@example.org"
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
key_file = "%DIR%/store.key"
[next_hop]
address = "%HOP%"
tls = "off"
[[listener]]
name = "out"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["127.0.0.0/8"]
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
[[rule]]
name = "secret"
recipient = ["enc.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject"
[[rule]]
name = "signed"
recipient = ["signed.example"]
sign = "require"
encrypt = "never"
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// settled waits until the service has applied what is in the store now, or what came after it.
func (w *world) settled(s *store.Store) {
	w.t.Helper()
	generation, err := s.TrustGeneration(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.log.waitNumbers(w.t, `msg="certificate store changed; changes applied" generation=`, func(applied []int) bool {
		return len(applied) > 0 && applied[len(applied)-1] >= int(generation)
	})
}

// open opens the store of a world as another process would.
func (w *world) open(url string) *store.Store {
	w.t.Helper()
	c := store.Config{URL: url, Log: slog.New(slog.DiscardHandler)}
	if strings.HasPrefix(url, "/") {
		file := strings.TrimSuffix(url, ".db") + ".key"
		key, err := store.ReadKey(file)
		if errors.Is(err, fs.ErrNotExist) {
			key, err = store.CreateKey(file)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		c.Key = key
	}
	s, err := store.Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) storeFile() string { return filepath.Join(w.dir, "store.db") }

// sendTo sends a message of Alice's and returns what the listener said to it.
func (w *world) sendTo(to string) error {
	w.t.Helper()
	c, err := smtp.Dial(w.address("out"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Mail("alice@example.org"), c.Rcpt(to)); err != nil {
		return err
	}
	d, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(d, "From: alice@example.org\r\nTo: %s\r\nSubject: to %s\r\n\r\nHello.\r\n", to, to)
	return d.Close()
}

func (w *world) wantReply(when, to string, code int) {
	w.t.Helper()
	if err := w.sendTo(to); replyCode(err) != code || code == 0 && err != nil {
		w.t.Errorf("%s: mail to %s: %v, want %d", when, to, err, code)
	}
}

func put(t *testing.T, s *store.Store, c *testpki.Identity) [32]byte {
	t.Helper()
	if _, err := s.Put(t.Context(), store.Imported, store.New{Certificate: c.Certificate}); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(c.Certificate.Raw)
}

// TestMarksTakeEffect: what another process allows or blocks counts within
// seconds, whatever the configuration file has become meanwhile.
func TestMarksTakeEffect(t *testing.T) {
	w := startWorld(t, storedConfig)
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	s := w.open(w.storeFile())
	bob := put(t, s, testpki.Must(stranger.Issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}})))
	w.write("half edi")
	w.wantReply("a stranger's certificate", "bob@enc.example", 550)
	for _, step := range []struct {
		mark store.Mark
		code int
	}{{store.Allowed, 0}, {store.Blocked, 550}, {store.Allowed, 0}, {store.NoMark, 550}} {
		if err := s.SetMark(t.Context(), bob, step.mark, "by test", time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.settled(s)
		w.wantReply(fmt.Sprintf("marked %q", step.mark), "bob@enc.example", step.code)
	}
	w.stop()
}

// TestAllowedAuthority: an authority that is allowed explicitly anchors what it
// issued.
func TestAllowedAuthority(t *testing.T) {
	w := startWorld(t, storedConfig)
	partner := testpki.Must(testpki.NewCA(testpki.Options{Name: "Partner"}))
	s := w.open(w.storeFile())
	ca := put(t, s, &testpki.Identity{Certificate: partner.Certificate})
	put(t, s, testpki.Must(partner.Issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}})))
	w.wantReply("before", "bob@enc.example", 550)
	if err := s.SetMark(t.Context(), ca, store.Allowed, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.settled(s)
	w.wantReply("after", "bob@enc.example", 0)
	w.stop()
}

// TestIdentityFromTheStore: a gateway that started before there was a key file
// signs with what is imported then, and stops when it is removed.
func TestIdentityFromTheStore(t *testing.T) {
	w := startWorld(t, storedConfig)
	w.wantReply("no identity", "bob@signed.example", 451)
	s := w.open(w.storeFile()) // makes the key file
	alice := w.issue("alice@example.org")
	if _, err := s.PutIdentity(t.Context(), store.Imported, alice); err != nil {
		t.Fatal(err)
	}
	w.settled(s)
	w.wantReply("imported", "bob@signed.example", 0)
	if err := s.Remove(t.Context(), sha256.Sum256(alice.Certificate.Raw), true); err != nil {
		t.Fatal(err)
	}
	w.wantReply("removed", "carol@signed.example", 451)
	w.stop()
}

// TestReloadToAnotherStore: the other store's marks count at once, the first
// store's no longer, and it is closed.
func TestReloadToAnotherStore(t *testing.T) {
	w := startWorld(t, storedConfig)
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	bob := testpki.Must(stranger.Issue(testpki.Leaf{Addresses: []string{"bob@enc.example"}}))
	other := w.open(filepath.Join(w.dir, "other.db"))
	if err := other.SetMark(t.Context(), put(t, other, bob), store.Allowed, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.wantReply("the first store", "bob@enc.example", 550)
	elsewhere := strings.ReplaceAll(storedConfig, "/store.", "/other.")
	w.reload(elsewhere, "msg=reloaded")
	w.wantReply("the other store", "bob@enc.example", 0)
	w.reload(strings.Replace(elsewhere, "hostname", "nonsense = 1\nhostname", 1), "reload failed")
	w.wantReply("a bad file", "bob@enc.example", 0)
	w.stop()
}

// issue makes an identity by the authority of the world.
func (w *world) issue(addr string) *certs.Identity {
	w.t.Helper()
	id := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}}))
	return (*certs.Identity)(id)
}

// TestVerbsMakeNoStore: who only looks leaves no file behind, least of all one of
// another user's.
func TestVerbsMakeNoStore(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte("hostname = \"gw.example.org\"\n[store]\nurl = \"store.db\"\nkey_file = \"store.key\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	parts, problems := Load(file, time.Now, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := parts.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestLostKeyFile: a store with private keys in it is not served without the key
// that opens them, nor with another one.
func TestLostKeyFile(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), hop: newHop(t), ca: testpki.Must(testpki.NewCA(testpki.Options{}))}
	w.write(strings.Replace(storedConfig, "anchors = [\"ca.pem\"]", "", 1))
	s := w.open(w.storeFile())
	if _, err := s.PutIdentity(t.Context(), store.Imported, w.issue("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(w.dir, "store.key")
	load := func() string {
		parts, problems := Load(w.config(), time.Now, slog.New(slog.DiscardHandler))
		if parts != nil {
			defer parts.Close()
		}
		return problems.Error()
	}
	if got := load(); got != "" {
		t.Error(got)
	}
	if err := os.Rename(key, key+".gone"); err != nil {
		t.Fatal(err)
	}
	if got := load(); !strings.Contains(got, "store.key_file: key file") || !strings.Contains(got, "1 private keys") {
		t.Errorf("lost: %s", got)
	}
	if _, err := store.CreateKey(key); err != nil {
		t.Fatal(err)
	}
	if got := load(); !strings.Contains(got, "store.key_file: ") || !strings.Contains(got, "another key file; restore the key file") {
		t.Errorf("another: %s", got)
	}
}
