package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// machine is a folder with a configuration.
type machine struct {
	*testing.T
	dir  string
	file string
	conf *config.Config
}

// newMachine makes one whose store is in a database, or in a file where url is "".
func newMachine(t *testing.T, url string) *machine {
	t.Helper()
	m := &machine{T: t, dir: t.TempDir()}
	if url == "" {
		url = m.path("store.db")
	}
	m.write("smarthost.password", "a password of a smart host")
	m.write("partners/one.pem", "a certificate")
	m.file = m.path("config.toml")
	m.write("config.toml", fmt.Sprintf(`hostname = "gw.example.com"
[store]
url = %q
key_file = %q
[queue]
path = %q
[identities]
password_file = %q
[trust]
intermediates = [%q]
`, url, m.path("store.key"), m.path("queue.db"), m.path("smarthost.password"), m.path("partners")))
	m.load()
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o700); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) load() {
	m.Helper()
	conf, problems := config.Load(m.file)
	if len(problems) > 0 {
		m.Fatal(problems)
	}
	m.conf = conf
}

// fill gives the gateway an identity, a blocked certificate, a queued and a held message.
func (m *machine) fill() {
	m.Helper()
	key, err := store.CreateKey(m.conf.Store.KeyFile)
	m.must(err)
	s, err := openStore(m.Context(), m.conf.Store, key)
	m.must(err)
	defer s.Close()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Test CA"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}, Key: "rsa2048"}))
	_, err = s.PutIdentity(m.Context(), store.Imported, &certs.Identity{Key: id.Key, Certificate: id.Certificate})
	m.must(err)
	bob := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	_, err = s.Put(m.Context(), store.Imported, store.New{Certificate: bob.Certificate})
	m.must(err)
	m.must(s.SetMark(m.Context(), sha256.Sum256(bob.Certificate.Raw), store.Blocked, "laptop stolen", time.Time{}))

	h := m.openHistory()
	_, err = h.Write(m.Context(), history.Batch{Rows: []history.Row{{Time: time.Now(), ID: "one", Direction: "outbound",
		Sender: m.address("alice@example.com"), Recipient: m.address("bob@example.net"), Outcome: history.Delivered}}})
	m.must(errors.Join(err, h.Close()))

	q := m.openQueue()
	defer m.stop(q)
	copies := relay.Delivery{Sender: m.address("alice@example.com"), Message: m.message("queued"),
		Recipients: []relay.Recipient{{Address: m.address("bob@example.net")}, {Address: m.address("carol@example.net")}}}
	held := relay.Hold{Envelope: relay.Envelope{ID: "held", Listener: "out", Sender: m.address("alice@example.com"),
		Recipients: []relay.Recipient{{Address: m.address("dave@example.net")}}},
		Message: m.message("held"), Since: time.Now(), Until: time.Now().Add(time.Hour), Reasons: []string{"none found"}}
	m.must(q.Put(m.Context(), relay.Batch{Copies: []relay.Delivery{copies}, Held: &held}))
}

func (m *machine) openQueue() *queue.Queue {
	m.Helper()
	place, err := service.QueuePlace(m.conf)
	m.must(err)
	q, err := queue.Open(m.Context(), queue.Config{Place: place, MinFree: -1, Log: slog.New(slog.DiscardHandler)})
	m.must(err)
	return q
}

func (m *machine) openHistory() *history.Store {
	m.Helper()
	place, _, err := service.HistoryPlace(m.conf)
	m.must(err)
	h, err := history.Open(m.Context(), place)
	m.must(err)
	return h
}

func (m *machine) stop(q *queue.Queue) {
	m.Helper()
	m.must(q.Stop(context.WithoutCancel(m.Context())))
}

func (m *machine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) address(s string) address.Address {
	m.Helper()
	a, err := address.Parse(s)
	m.must(err)
	return a
}

func (m *machine) message(subject string) *message.Message {
	m.Helper()
	parsed, err := message.Parse([]byte("From: alice@example.com\r\nSubject: " + subject + "\r\n\r\n" + strings.Repeat("needle\r\n", 1000)))
	m.must(err)
	return parsed
}

// contents is what the gateway keeps, as text.
func (m *machine) contents() string {
	m.Helper()
	key, err := readKey(m.conf.Store.KeyFile)
	m.must(err)
	s, err := openStore(m.Context(), m.conf.Store, key)
	m.must(err)
	defer s.Close()
	entries, err := s.Find(m.Context(), store.Query{})
	m.must(err)
	var text strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&text, certs.Addresses(e.Certificate), e.HasKey, e.Mark, e.Note)
		if e.HasKey {
			ids, err := s.Keys().Decryption(m.Context(), cms.CertificateID(e.Certificate))
			m.must(err)
			fmt.Fprintln(&text, len(ids), "keys that open")
		}
	}
	place, err := service.QueuePlace(m.conf)
	m.must(err)
	q, err := queue.OpenStore(m.Context(), place)
	m.must(err)
	defer q.Close()
	list, err := q.List(m.Context(), queue.Filter{})
	m.must(err)
	for _, e := range list {
		var raw strings.Builder
		m.must(q.WriteMessage(m.Context(), e.ID, &raw))
		fmt.Fprintln(&text, e.Status, e.Sender, e.Recipients, e.Created, raw.Len())
	}
	held, err := q.Held(m.Context())
	m.must(err)
	for _, h := range held {
		fmt.Fprintln(&text, h.Sender, h.Recipients, h.Until)
	}
	h := m.openHistory()
	defer h.Close()
	page, err := h.Search(m.Context(), history.Query{})
	m.must(err)
	for _, r := range page.Rows {
		fmt.Fprintln(&text, r.Time, r.ID, r.Sender, r.Recipient, r.Outcome)
	}
	totals, err := h.Totals(m.Context(), time.Now().Add(-24*time.Hour), time.Now().Add(time.Hour))
	m.must(err)
	fmt.Fprintln(&text, totals)
	return text.String()
}

// options are those of an encrypted backup, and the identity that opens it.
func (m *machine) options() (Options, *testpki.Identity) {
	m.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Backup CA"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"backup@example.com"}, Key: "rsa2048"}))
	return Options{Config: m.conf, ConfigFile: m.file, Version: "v1", Clock: time.Now, To: []*x509.Certificate{id.Certificate}}, id
}

func keysOf(id *testpki.Identity) certs.Keys {
	return certs.NewKeys(nil, &certs.Identity{Key: id.Key, Certificate: id.Certificate})
}

// TestRestore: the backup of a gateway with files that is at work has its certificates,
// keys, queued and held mail on another machine with a database, and the other way.
func TestRestore(t *testing.T) {
	server, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for name, urls := range map[string][2]string{"to PostgreSQL": {"", server.Database(t)}, "to SQLite": {server.Database(t), ""}} {
		t.Run(name, func(t *testing.T) {
			from, to := newMachine(t, urls[0]), newMachine(t, urls[1])
			from.fill()
			before := from.contents()
			running := from.openQueue()
			o, id := from.options()
			var b bytes.Buffer
			m, err := Write(t.Context(), &b, o)
			from.must(err)
			from.stop(running)
			if !m.Key || m.Queue != (queue.Moved{Messages: 2, Deliveries: 1, Held: 1}) || m.History != 1 || len(m.Files) != 2 || len(m.LeftOut) != 0 {
				t.Errorf("%+v", m)
			}
			if bytes.Contains(b.Bytes(), []byte("needle")) {
				t.Error("it is not encrypted")
			}
			opened, err := Open(t.Context(), &b, keysOf(id))
			from.must(err)
			r, err := opened.Restore(t.Context(), to.conf, false)
			to.must(err)
			if r.Queue != m.Queue || r.KeyFile != to.conf.Store.KeyFile {
				t.Errorf("%+v", r)
			}
			if diff := cmp.Diff(before, to.contents()); diff != "" {
				t.Error(diff)
			}
			if _, err := opened.Restore(t.Context(), to.conf, false); !errors.Is(err, queue.ErrNotEmpty) {
				t.Errorf("a second time: %v", err)
			}
			to.must(opened.Close())
			if exists(string(opened.folder)) {
				t.Error("mail is left in the temporary folder")
			}
		})
	}
}

// TestFiles: what the configuration names comes back where it is missing, and what is
// there stays.
func TestFiles(t *testing.T) {
	from := newMachine(t, "")
	from.fill()
	o, id := from.options()
	var b bytes.Buffer
	_, err := Write(t.Context(), &b, o)
	from.must(err)
	opened, err := Open(t.Context(), &b, keysOf(id))
	from.must(err)
	defer opened.Close()
	root := t.TempDir()
	there := filepath.Join(root, from.path("partners/one.pem"))
	from.must(os.MkdirAll(filepath.Dir(there), 0o700))
	from.must(os.WriteFile(there, []byte("another"), 0o600))
	put, err := opened.PutFiles(filepath.Join(root, "config.toml"), root)
	from.must(err)
	want := []Put{{filepath.Join(root, "config.toml"), false}, {filepath.Join(root, from.path("smarthost.password")), false}, {there, true}}
	if diff := cmp.Diff(want, put); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "another" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(want[1].Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestOpenSSL: another program decrypts it, and tar reads it.
func TestOpenSSL(t *testing.T) {
	from := newMachine(t, "")
	from.fill()
	o, id := from.options()
	f, err := os.Create(from.path("backup.p7m"))
	from.must(err)
	_, err = Write(t.Context(), f, o)
	from.must(errors.Join(err, f.Close()))
	from.write("id.pem", string(testpki.Must(id.PEM())))
	out, err := exec.CommandContext(t.Context(), "sh", "-c",
		"openssl cms -decrypt -inform DER -in "+from.path("backup.p7m")+" -recip "+from.path("id.pem")+" | tar -tz").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "backup.json\n") || !strings.Contains(string(out), "store.key\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestPlain: a backup that is not encrypted has no secrets.
func TestPlain(t *testing.T) {
	from := newMachine(t, "")
	from.fill()
	o, _ := from.options()
	o.To = nil
	var b bytes.Buffer
	m, err := Write(t.Context(), &b, o)
	from.must(err)
	want := []string{from.path("smarthost.password"), from.path("store.key")}
	if diff := cmp.Diff(want, m.LeftOut); diff != "" || m.Key {
		t.Error(diff)
	}
	key, err := os.ReadFile(from.path("store.key"))
	from.must(err)
	z, err := gzip.NewReader(bytes.NewReader(b.Bytes()))
	from.must(err)
	all, err := io.ReadAll(z)
	from.must(err)
	for _, secret := range []string{string(bytes.TrimSpace(key)), "a password of a smart host"} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("it has %q", secret)
		}
	}
	to := newMachine(t, "")
	opened, err := Open(t.Context(), &b, nil)
	from.must(err)
	defer opened.Close()
	if _, err := opened.Restore(t.Context(), to.conf, false); err == nil || !strings.Contains(err.Error(), "1 private keys in the backup are encrypted with it") {
		t.Errorf("without the key: %v", err)
	}
	to.write("store.key", string(key))
	// The mail was restored by the call before.
	from.must(os.Remove(to.path("queue.db")))
	_, err = opened.Restore(t.Context(), to.conf, true)
	to.must(err)
	if text := to.contents(); !strings.Contains(text, "hold alice@example.com") || !strings.Contains(text, "1 keys that open") {
		t.Error(text)
	}
}

// TestOtherKeyFile: a key file that is there is never replaced.
func TestOtherKeyFile(t *testing.T) {
	from, to := newMachine(t, ""), newMachine(t, "")
	from.fill()
	o, id := from.options()
	var b bytes.Buffer
	_, err := Write(t.Context(), &b, o)
	from.must(err)
	_, err = store.CreateKey(to.conf.Store.KeyFile)
	to.must(err)
	opened, err := Open(t.Context(), &b, keysOf(id))
	to.must(err)
	defer opened.Close()
	if _, err := opened.Restore(t.Context(), to.conf, false); err == nil || !strings.Contains(err.Error(), "another key than that of the backup") {
		t.Errorf("error %v", err)
	}
}

// TestDamaged: what is not a whole backup is refused, and nothing of it is left.
func TestDamaged(t *testing.T) {
	from := newMachine(t, "")
	from.fill()
	o, id := from.options()
	var whole, plain bytes.Buffer
	_, err := Write(t.Context(), &whole, o)
	from.must(err)
	o.To = nil
	_, err = Write(t.Context(), &plain, o)
	from.must(err)
	changed := bytes.Clone(whole.Bytes())
	changed[len(changed)/2] ^= 1
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("From: a@example.com\r\n\r\n"), "changed": changed, "cut": whole.Bytes()[:whole.Len()-20],
		"cut plain": plain.Bytes()[:plain.Len()-6], "cut early": plain.Bytes()[:200],
		"parent":   tarred(t, "../x", "1"),
		"unknown":  tarred(t, "passwd", "1"),
		"named":    tarred(t, manifestName, `{"format":1,"files":["/../x"]}`),
		"relative": tarred(t, manifestName, `{"format":1,"files":["x"]}`),
		"newer":    tarred(t, manifestName, `{"format":2}`),
		"none":     tarred(t, configName, ``),
	} {
		if b, err := Open(t.Context(), bytes.NewReader(data), keysOf(id)); err == nil {
			t.Errorf("%s: opened", name)
			from.must(b.Close())
		}
	}
	_, other := from.options()
	if _, err := Open(t.Context(), bytes.NewReader(whole.Bytes()), keysOf(other)); !errors.Is(err, ErrEncrypted) {
		t.Errorf("another key: %v", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// tarred is an archive with one file, and a manifest.
func tarred(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	files := map[string]string{name: text}
	if name != configName && name != manifestName {
		data, err := json.Marshal(Manifest{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		files[manifestName] = string(data)
	}
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
