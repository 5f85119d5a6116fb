package folder

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

type world struct {
	t     *testing.T
	ca    *testpki.CA
	dir   string
	store *store.Store
	log   bytes.Buffer
	*Folder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ca: testpki.Must(testpki.NewCA(testpki.Options{})), dir: t.TempDir()}
	w.store = testpki.Must(store.Open(t.Context(), store.Config{Key: bytes.Repeat([]byte{7}, store.KeySize), Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() { w.store.Close() })
	w.Folder = New(Config{Enrolment: "drop", Path: w.dir, Store: w.store, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	return w
}

// drop puts a PKCS #12 file into the folder.
func (w *world) drop(name, addr, password string) *certs.Identity {
	w.t.Helper()
	id := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}, Name: name})))
	w.write(name, string(testpki.Must(file.EncodePKCS12(id, password, file.Modern))))
	return id
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) scan() {
	w.t.Helper()
	if err := w.Scan(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) signs(addr string) *certs.Identity {
	w.t.Helper()
	return testpki.Must(w.store.Keys().Signing(w.t.Context(), testpki.Must(address.Parse(addr))))
}

// TestDropped: what is put into the folder signs, and what cannot be read is reported once,
// until it changes.
func TestDropped(t *testing.T) {
	w := newWorld(t)
	w.scan()
	w.write("alice.password", "correct horse\n")
	alice := w.drop("alice.p12", "alice@example.com", "correct horse")
	w.drop("bob.p12", "bob@example.com", "battery staple")
	for range 3 {
		w.scan()
	}
	if id := w.signs("alice@example.com"); id == nil || !id.Certificate.Equal(alice.Certificate) {
		t.Error("alice has no identity")
	}
	if w.signs("bob@example.com") != nil {
		t.Error("opened without a password")
	}
	if log := w.log.String(); strings.Count(log, "file imported") != 1 || strings.Count(log, "file not imported") != 1 {
		t.Errorf("the log: %s", log)
	}
	// The password comes later; then a newer certificate under the same name.
	w.write("bob.password", "battery staple")
	w.scan()
	old := w.signs("bob@example.com")
	if old == nil {
		t.Fatal("bob has no identity though the password came")
	}
	w.drop("bob.p12", "bob@example.com", "battery staple")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(w.dir, "bob.p12"), later, later); err != nil {
		t.Fatal(err)
	}
	w.scan()
	if n := testpki.Must(w.store.Count(t.Context(), store.Query{HasKey: new(true)})); n != 3 {
		t.Errorf("%d identities", n)
	}
}

// TestOnePassword: for all files that have none beside them.
func TestOnePassword(t *testing.T) {
	w := newWorld(t)
	w.PasswordFile = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(w.PasswordFile, []byte("for all of them\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.drop("alice.pfx", "alice@example.com", "for all of them")
	w.scan()
	if w.signs("alice@example.com") == nil {
		t.Error("not imported")
	}
	w.PasswordFile = filepath.Join(w.dir, "missing")
	w.drop("bob.pfx", "bob@example.com", "for all of them")
	if err := w.Scan(t.Context()); err == nil {
		t.Error("a missing password file")
	}
}

func TestNoFolder(t *testing.T) {
	w := newWorld(t)
	w.Path = filepath.Join(w.dir, "missing")
	if err := w.Scan(t.Context()); err == nil {
		t.Error("a missing folder")
	}
}
