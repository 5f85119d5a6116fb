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
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pquerna/otp/totp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
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

// openConsole opens the accounts of the console.
func (m *machine) openConsole() *access.Store {
	m.Helper()
	place, _, err := consolePlace(m.conf)
	m.must(err)
	a, err := access.Open(m.Context(), place)
	m.must(err)
	return a
}

// administer adds an account with one-time codes, and a token.
func (m *machine) administer() {
	m.Helper()
	a := m.openConsole()
	by := access.Actor{Name: "root", From: "gw", Via: "command line"}
	m.must(a.AddUser(m.Context(), by, "alice", access.Administrator, "correct horse battery"))
	m.must(a.SetTOTP(m.Context(), by, "alice", "JBSWY3DPEHPK3PXP"))
	_, err := a.CreateToken(m.Context(), by, "monitoring", "alice", access.Viewer, time.Hour)
	m.must(errors.Join(err, a.Close()))
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
	a := m.openConsole()
	defer a.Close()
	users, err := a.Users(m.Context())
	m.must(err)
	tokens, err := a.Tokens(m.Context())
	m.must(err)
	last, broken, err := a.VerifyAudit(m.Context(), access.AuditPoint{})
	m.must(err)
	fmt.Fprintln(&text, users, tokens, last, broken)
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
			from.administer()
			before := from.contents()
			running := from.openQueue()
			o, id := from.options()
			var b bytes.Buffer
			m, err := Write(t.Context(), &b, o)
			from.must(err)
			from.stop(running)
			if !m.Key || m.Queue != (queue.Moved{Messages: 2, Deliveries: 1, Held: 1}) || m.History != 1 || len(m.Files) != 2 || len(m.LeftOut) != 0 ||
				m.Console != (access.Copied{Accounts: 1, Tokens: 1, Entries: 3}) {
				t.Errorf("%+v", m)
			}
			if bytes.Contains(b.Bytes(), []byte("needle")) {
				t.Error("it is not encrypted")
			}
			opened, err := Open(t.Context(), &b, keysOf(id))
			from.must(err)
			r, err := opened.Restore(t.Context(), to.conf, false)
			to.must(err)
			if r.Queue != m.Queue || r.KeyFile != to.conf.Store.KeyFile || r.Console != m.Console || r.ConsoleKept {
				t.Errorf("%+v", r)
			}
			signedIn := to.openConsole()
			if _, err := signedIn.SignIn(t.Context(), access.Credentials{Name: "alice", Password: "correct horse battery"}); !errors.Is(err, access.ErrRefused) {
				t.Errorf("without a code: %v", err)
			}
			code, err := totp.GenerateCode("JBSWY3DPEHPK3PXP", time.Now())
			to.must(err)
			to.must(signedIn.Close())
			if diff := cmp.Diff(before, to.contents()); diff != "" {
				t.Error(diff)
			}
			signedIn = to.openConsole()
			if _, err := signedIn.SignIn(t.Context(), access.Credentials{Name: "alice", Password: "correct horse battery", Code: code}); err != nil {
				t.Errorf("with a code: %v", err)
			}
			to.must(signedIn.Close())
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
	plan, err := opened.Plan(filepath.Join(root, "config.toml"), root)
	from.must(err)
	want := []Put{{Path: filepath.Join(root, "config.toml")}, {Path: filepath.Join(root, from.path("smarthost.password"))}, {Path: there, Kept: true}}
	if diff := cmp.Diff(want, plan, cmpopts.IgnoreUnexported(Put{})); diff != "" {
		t.Error(diff)
	}
	if exists(want[0].Path) {
		t.Error("it is written before it is said")
	}
	from.must(opened.PutFiles(plan))
	if again, err := opened.Plan(filepath.Join(root, "config.toml"), root); err != nil || len(again) != 1 || !again[0].Kept {
		t.Errorf("a second time: %+v, %v", again, err)
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
	from.administer()
	o, _ := from.options()
	o.To = nil
	var b bytes.Buffer
	m, err := Write(t.Context(), &b, o)
	from.must(err)
	want := []string{consoleContents, from.path("smarthost.password"), from.path("store.key")}
	if diff := cmp.Diff(want, m.LeftOut); diff != "" || m.Key {
		t.Error(diff)
	}
	key, err := os.ReadFile(from.path("store.key"))
	from.must(err)
	z, err := gzip.NewReader(bytes.NewReader(b.Bytes()))
	from.must(err)
	all, err := io.ReadAll(z)
	from.must(err)
	for _, secret := range []string{string(bytes.TrimSpace(key)), "a password of a smart host", "JBSWY3DPEHPK3PXP", "argon2id"} {
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
	to.must(os.Remove(to.conf.Store.KeyFile))
	_, err = opened.Restore(t.Context(), to.conf, false)
	to.must(err)
	if diff := cmp.Diff(from.contents(), to.contents()); diff != "" {
		t.Errorf("the second time: %s", diff)
	}
}

// TestUnnamedFile: a backup puts no file where its configuration names none.
func TestUnnamedFile(t *testing.T) {
	from := newMachine(t, "")
	manifest, err := json.Marshal(Manifest{Format: format, Config: "/etc/smimerelay/config.toml", Files: []string{"/etc/cron.d/x"}})
	from.must(err)
	b, err := Open(t.Context(), bytes.NewReader(tarredFiles(t, map[string]string{
		manifestName: string(manifest), configName: "[trust]\nanchors = [\"/etc/cron\"]\n", filesFolder + "/etc/cron.d/x": "* * * * * root true\n",
	})), nil)
	from.must(err)
	defer b.Close()
	if plan, err := b.Plan(from.path("new.toml"), from.dir); err == nil || !strings.Contains(err.Error(), `"/etc/cron.d/x", which its configuration does not name`) {
		t.Errorf("%v, %v", plan, err)
	}
}

// TestSecretsAnywhere: without encryption no private key is in the backup, whatever names it.
func TestSecretsAnywhere(t *testing.T) {
	from := newMachine(t, "")
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"a@example.com"}}))
	from.write("dropped/alice.pem", "an identity")
	from.write("partners/both.pem", strings.Repeat("#", 64<<10-10)+"\n"+string(testpki.Must(id.PEM())))
	from.write("vip.txt", "alice@example.com\n")
	text, err := os.ReadFile(from.file)
	from.must(err)
	from.write("config.toml", string(text)+"[[enrolment]]\nname = \"e\"\nfrom = \"folder\"\nfolder = "+fmt.Sprintf("%q", from.path("dropped"))+"\n[[inbound_rule]]\nname = \"v\"\nsender = [\"file:vip.txt\"]\n")
	from.load()
	o, _ := from.options()
	o.To = nil
	m, err := Write(t.Context(), io.Discard, o)
	from.must(err)
	want := []string{from.path("smarthost.password"), from.path("dropped/alice.pem"), from.path("partners/both.pem")}
	if diff := cmp.Diff(want, m.LeftOut, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}
	if want := []string{from.path("partners/one.pem"), from.path("vip.txt")}; !slices.Equal(m.Files, want) {
		t.Errorf("files %v, want %v", m.Files, want)
	}
}

// TestKeysInOtherForms: a key is one in whatever form it is, and what is no key is in the backup.
func TestKeysInOtherForms(t *testing.T) {
	from := newMachine(t, "")
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"a@example.com"}, Key: "rsa2048"}))
	from.write("id.pem", string(testpki.Must(id.PEM())))
	from.write("certificate.pem", string(testpki.EncodeCertificates(id.Certificate)))
	// As OpenSSL writes them.
	for _, command := range []string{
		"pkcs12 -export -in id.pem -passout pass:x -out partners/a.p12",
		"pkcs12 -export -in id.pem -passout pass:x -legacy -out partners/b.pfx",
		"pkey -in id.pem -outform DER -out partners/c.der",
		"pkcs8 -topk8 -in id.pem -outform DER -passout pass:x -out partners/d.der",
		"pkcs8 -topk8 -in id.pem -outform DER -passout pass:x -v1 PBE-SHA1-3DES -out partners/e.der",
		"rsa -in id.pem -traditional -outform DER -out partners/f.der",
		"ecparam -name prime256v1 -genkey -noout -outform DER -out partners/g.der",
		"genpkey -algorithm ED25519 -outform DER -out partners/h.der",
	} {
		c := exec.CommandContext(t.Context(), "openssl", strings.Fields(command)...)
		c.Dir = from.dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	from.write("partners/i.jks", "\xfe\xed\xfe\xed\x00\x00\x00\x02")
	from.write("partners/j.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
	from.write("partners/k.ppk", "PuTTY-User-Key-File-3: rsa\n")
	from.write("partners/l.p12.password", "a password")
	want := 12
	for _, command := range []string{
		"x509 -in certificate.pem -outform DER -out partners/open-a.der",
		"pkey -in id.pem -pubout -outform DER -out partners/open-b.der",
		"rsa -in id.pem -RSAPublicKey_out -outform DER -out partners/open-c.der",
		"crl2pkcs7 -nocrl -certfile certificate.pem -outform DER -out partners/open-d.p7b",
		"req -new -key id.pem -subj /CN=x -outform DER -out partners/open-e.csr",
	} {
		c := exec.CommandContext(t.Context(), "openssl", strings.Fields(command)...)
		c.Dir = from.dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	from.write("partners/open-f.txt", "0")
	from.write("partners/open-g.txt", "")
	o, _ := from.options()
	o.To = nil
	m, err := Write(t.Context(), io.Discard, o)
	from.must(err)
	for _, path := range m.Files {
		if name := filepath.Base(path); name != "one.pem" && !strings.HasPrefix(name, "open-") {
			t.Errorf("%s is in the backup", name)
		}
	}
	if len(m.Files) != 8 || len(m.LeftOut) != want+1 {
		t.Errorf("%d files, %d left out: %v %v", len(m.Files), len(m.LeftOut), m.Files, m.LeftOut)
	}
}

// TestSecretsInTheConfiguration: without encryption there is no backup of a configuration file that
// has secrets itself, unless that is asked for.
func TestSecretsInTheConfiguration(t *testing.T) {
	for key, text := range map[string]string{
		"listener[0].required_header": "[[listener]]\nname = \"in\"\nprotocol = \"smtp\"\naddress = \"127.0.0.1:1\"\nnetworks = [\"127.0.0.0/8\"]\nrequired_header = \"X-Secret: needle\"\n",
		"directory[0].url":            "[[directory]]\nname = \"d\"\ntype = \"https\"\nurl = \"https://certs.example.com/?key=needle&a={addr}\"\n",
		"enrolment[0].command":        "[[enrolment]]\nname = \"e\"\nfrom = \"command\"\ncommand = [\"/bin/true\", \"needle\"]\n",
	} {
		from := newMachine(t, "")
		text0, err := os.ReadFile(from.file)
		from.must(err)
		from.write("config.toml", string(text0)+text)
		from.load()
		o, id := from.options()
		to := o.To
		o.To = nil
		var b bytes.Buffer
		_, err = Write(t.Context(), &b, o)
		if refused, ok := errors.AsType[*SecretsError](err); !ok || !slices.Equal(refused.Options, []string{key}) || b.Len() > 0 {
			t.Errorf("%s: %v, %d octets written", key, err, b.Len())
		}
		o.PlaintextSecrets = true
		_, err = Write(t.Context(), io.Discard, o)
		from.must(err)
		o.PlaintextSecrets, o.To = false, to
		_, err = Write(t.Context(), &b, o)
		from.must(err)
		opened, err := Open(t.Context(), &b, keysOf(id))
		from.must(err)
		from.must(opened.Close())
	}
}

// TestAccountsStay: a restore neither mixes nor replaces the accounts of a console.
func TestAccountsStay(t *testing.T) {
	from, to := newMachine(t, ""), newMachine(t, "")
	from.fill()
	from.administer()
	a := to.openConsole()
	to.must(errors.Join(a.AddUser(t.Context(), access.Actor{Name: "root"}, "bob", access.Viewer, ""), a.Close()))
	o, id := from.options()
	var b bytes.Buffer
	_, err := Write(t.Context(), &b, o)
	from.must(err)
	opened, err := Open(t.Context(), &b, keysOf(id))
	to.must(err)
	defer opened.Close()
	r, err := opened.Restore(t.Context(), to.conf, false)
	to.must(err)
	if !r.ConsoleKept || r.Console != (access.Copied{}) {
		t.Errorf("%+v", r)
	}
	a = to.openConsole()
	defer a.Close()
	if users, err := a.Users(t.Context()); err != nil || len(users) != 1 || users[0].Name != "bob" {
		t.Errorf("%+v, %v", users, err)
	}
}

// TestSkipped: a folder may be a link; what cannot be backed up is said.
func TestSkipped(t *testing.T) {
	from := newMachine(t, "")
	from.must(os.Rename(from.path("partners"), from.path("real")))
	from.must(os.Symlink("real", from.path("partners")))
	from.must(os.Symlink(t.TempDir(), from.path("real/elsewhere")))
	from.must(os.MkdirAll(from.path("real/..1"), 0o700))
	from.must(os.Symlink("..1", from.path("real/..data")))
	socket, err := net.Listen("unix", from.path("real/socket"))
	from.must(err)
	defer socket.Close()
	o, _ := from.options()
	m, err := Write(t.Context(), io.Discard, o)
	from.must(err)
	if !slices.Contains(m.Files, from.path("partners/one.pem")) {
		t.Errorf("files %v", m.Files)
	}
	want := []Skipped{{from.path("partners/elsewhere"), errFolderLink.Error()}, {from.path("partners/socket"), errNoFile.Error()}}
	if diff := cmp.Diff(want, m.Skipped); diff != "" {
		t.Error(diff)
	}
}

// TestInterrupted: nothing is left on disk, whatever the program waits for.
func TestInterrupted(t *testing.T) {
	from := newMachine(t, "")
	from.fill()
	o, id := from.options()
	var whole bytes.Buffer
	_, err := Write(t.Context(), &whole, o)
	from.must(err)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	cut, in := io.Pipe()
	defer in.Close()
	go func() {
		_, _ = in.Write(whole.Bytes()[:whole.Len()/2])
		cancel() // and more never comes
	}()
	if _, err := Open(ctx, cut, keysOf(id)); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if _, err := Write(ctx, cancelling(cancel), o); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestMoreBehind: what is behind a backup keeps nothing at work.
func TestMoreBehind(t *testing.T) {
	r := &endless{start: tarredFiles(t, map[string]string{manifestName: `{"format":1}`}), done: make(chan struct{})}
	b, err := Open(t.Context(), r, nil)
	if err == nil {
		err = b.Close()
	}
	if err == nil {
		t.Error("it is taken for a backup")
	}
	<-r.done
}

// endless has text without an end behind its start. done is closed when it is not read any
// more.
type endless struct {
	io.Reader
	start []byte
	done  chan struct{}
}

// WriteTo is that of io.WriterTo.
func (e *endless) WriteTo(w io.Writer) (int64, error) {
	defer close(e.done)
	_, err := w.Write(e.start)
	for err == nil {
		_, err = w.Write([]byte("text"))
	}
	return 0, err
}

// cancelling is a writer that cancels.
type cancelling context.CancelFunc

func (c cancelling) Write(p []byte) (int, error) {
	c()
	return len(p), nil
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
	files := map[string]string{name: text}
	if name != configName && name != manifestName {
		data, err := json.Marshal(Manifest{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		files[manifestName] = string(data)
	}
	return tarredFiles(t, files)
}

// tarredFiles is an archive with these files.
func tarredFiles(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
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
