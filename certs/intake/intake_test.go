package intake

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a folder and an empty store.
type world struct {
	*testing.T
	dir   string
	store *store.Store
	ca    *testpki.CA
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &world{t, t.TempDir(), s, testpki.Must(testpki.NewCA(testpki.Options{}))}
}

func (w *world) write(name string, data []byte, mode os.FileMode) {
	w.Helper()
	file := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, mode), os.Chmod(file, mode)); err != nil {
		w.Fatal(err)
	}
}

// run imports the folder and returns the outcomes by their names in it.
func (w *world) run(cfg Config) (map[string]Outcome, Summary) {
	w.Helper()
	cfg.Store, cfg.Workers = w.store, 3
	files := testpki.Must(file.Files(w.dir))
	var order []string
	all := map[string]Outcome{}
	sum, err := Run(w.Context(), cfg, files, func(o Outcome) error {
		order = append(order, o.File)
		all[strings.TrimPrefix(o.File, w.dir+"/")] = o
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	if strings.Join(order, "\n") != strings.Join(files, "\n") {
		w.Errorf("reported %q, given %q", order, files)
	}
	return all, sum
}

func (w *world) identity(addr string) *certs.Identity {
	return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}})))
}

func (w *world) p12(addr, password string) []byte {
	return testpki.Must((*testpki.Identity)(w.identity(addr)).PKCS12(password))
}

func TestRun(t *testing.T) {
	w := newWorld(t)
	a := w.identity("a@x.org")
	b := w.identity("b@x.org")
	w.write("a.p12", testpki.Must((*testpki.Identity)(a).PKCS12("password of a")), 0o600)
	w.write("a.password", []byte("password of a\r\n"), 0o600)
	w.write("b.pem", testpki.Must(file.EncodePEM(b, "")), 0o600)
	w.write("common.p12", w.p12("c@x.org", "common password"), 0o600)
	w.write("deep/er/two.pem", file.EncodeCertificates([]*x509.Certificate{w.identity("d@x.org").Certificate, w.identity("e@x.org").Certificate}), 0o644)
	w.write("garbage.p12", []byte("0\x80"), 0o600)
	w.write("open.p12", w.p12("f@x.org", "common password"), 0o644)
	w.write("other.p12", w.p12("g@x.org", "another password"), 0o600)
	w.write("short.p12", w.p12("h@x.org", "short"), 0o600)
	w.write("short.password", []byte("short"), 0o600)
	w.write("told.p12", w.p12("i@x.org", "long enough"), 0o600)
	w.write("told.password", []byte("long enough"), 0o644)
	w.write(".hidden/z.p12", w.p12("z@x.org", "common password"), 0o600)
	w.write("notes.txt", []byte("not looked at"), 0o644)

	got, sum := w.run(Config{Password: "common password"})
	for name, want := range map[string]struct {
		Outcome
		reason string
	}{
		"a.p12":           {Outcome{Result: Added, Identities: 1, New: 1}, ""},
		"b.pem":           {Outcome{Result: Added, Identities: 1, New: 1}, ""},
		"common.p12":      {Outcome{Result: Added, Identities: 1, New: 1}, ""},
		"deep/er/two.pem": {Outcome{Result: Added, Certificates: 2, New: 2}, ""},
		"garbage.p12":     {Outcome{Result: Refused}, "neither certificates nor an identity"},
		"open.p12":        {Outcome{Result: Refused}, "chmod 0600"},
		"other.p12":       {Outcome{Result: Refused}, "password is wrong; put the right one"},
		"short.p12":       {Outcome{Result: Refused}, "5 characters"},
		"told.p12":        {Outcome{Result: Refused}, "told.password"},
	} {
		o := got[name]
		if o.Result != want.Result || o.Identities != want.Identities || o.Certificates != want.Certificates || o.New != want.New ||
			!strings.Contains(o.Reason, want.reason) || (o.Reason == "") != (want.reason == "") || strings.Contains(o.Reason, "\n") {
			t.Errorf("%s: %+v, want %+v", name, o, want)
		}
	}
	if sum != (Summary{Added: 4, Refused: 5, New: 5}) || len(got) != 9 {
		t.Errorf("%+v of %d", sum, len(got))
	}
	if n, err := w.store.Count(t.Context(), store.Query{}); n != 5 || err != nil {
		t.Errorf("%d in the store, %v", n, err)
	}
	_, sum = w.run(Config{Password: "common password", Force: true})
	if sum != (Summary{Added: 1, Known: 4, Refused: 4, New: 1}) {
		t.Errorf("a second time, by force: %+v", sum)
	}
}

// TestReportedIsStored looks into the store at each report.
func TestReportedIsStored(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.write(fmt.Sprintf("%02d.pem", i), testpki.Must(file.EncodePEM(w.identity(fmt.Sprintf("u%d@x.org", i)), "")), 0o600)
	}
	files := testpki.Must(file.Files(w.dir))
	reported, broken := 0, errors.New("enough")
	_, err := Run(t.Context(), Config{Store: w.store, Workers: 2}, files, func(Outcome) error {
		if reported++; reported == 25 {
			return broken
		}
		if n, err := w.store.Count(context.Background(), store.Query{}); n < reported || err != nil {
			t.Errorf("%d reported, %d stored, %v", reported, n, err)
		}
		return nil
	})
	if err != broken {
		t.Errorf("the error of the report: %v", err)
	}
	if _, sum := w.run(Config{}); sum.Added+sum.Known != 40 || sum.Known < 25 {
		t.Errorf("the rest: %+v", sum)
	}
}

// TestStoreFails ends with the error of the store, and no goroutine stays.
func TestStoreFails(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.write(fmt.Sprintf("%02d.cer", i), w.identity("a@x.org").Certificate.Raw, 0o600)
	}
	files := testpki.Must(file.Files(w.dir))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if sum, err := Run(ctx, Config{Store: w.store}, files, func(Outcome) error { return nil }); err == nil {
		t.Errorf("%+v without an error", sum)
	}
}
