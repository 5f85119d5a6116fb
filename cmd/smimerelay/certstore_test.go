package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// shelf is a store in a folder, with the verbs that work on it.
type shelf struct {
	t     *testing.T
	dir   string
	store *store.Store
	ca    *testpki.CA
	clock func() time.Time
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{t: t, dir: t.TempDir(), ca: testpki.Must(testpki.NewCA(testpki.Options{Name: "Shelf CA"})), clock: time.Now}
	key, err := store.CreateKey(s.path("store.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.store, err = store.Open(t.Context(), store.Config{URL: s.path("store.db"), Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	s.write("ca.pem", testpki.EncodeCertificates(s.ca.Certificate))
	s.write("config.toml", []byte(`
hostname = "gw.example.org"
[store]
url = "store.db"
key_file = "store.key"
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
`))
	return s
}

func (s *shelf) path(name string) string { return filepath.Join(s.dir, name) }

func (s *shelf) write(name string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) issue(l testpki.Leaf) *certs.Identity {
	return (*certs.Identity)(testpki.Must(s.ca.Issue(l)))
}

// put stores certificates, putIdentity an identity; the fingerprint of the first
// is returned.
func (s *shelf) put(list ...*certs.Identity) string {
	s.t.Helper()
	all := make([]store.New, len(list))
	for i, id := range list {
		all[i].Certificate = id.Certificate
	}
	if _, err := s.store.Put(s.t.Context(), store.Imported, all...); err != nil {
		s.t.Fatal(err)
	}
	return sha(list[0])
}

func (s *shelf) putIdentity(id *certs.Identity) string {
	s.t.Helper()
	if _, err := s.store.PutIdentity(s.t.Context(), store.Imported, id); err != nil {
		s.t.Fatal(err)
	}
	return sha(id)
}

func sha(id *certs.Identity) string { return fmt.Sprintf("%x", sha256.Sum256(id.Certificate.Raw)) }

// cert runs "smimerelay cert VERB --config … ARGS", wants an exit status, and
// returns both outputs. What went wrong must be one line.
func (s *shelf) cert(status int, verb string, args ...string) (stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	all := append([]string{"cert", verb, "--config", s.path("config.toml")}, args...)
	got := run(all, &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: s.clock})
	if got != status {
		s.t.Errorf("%q: exit status %d instead of %d: %s%s", all, got, status, &out, &errs)
	}
	if n := strings.Count(errs.String(), "\n"); n > 1 || n == 1 && !strings.HasPrefix(errs.String(), "smimerelay: ") {
		s.t.Errorf("%q: errors are not one line:\n%s", all, &errs)
	}
	return out.String(), errs.String()
}

// fails wants words in the one line about a mistake.
func (s *shelf) fails(status int, words, verb string, args ...string) {
	s.t.Helper()
	if _, stderr := s.cert(status, verb, args...); !strings.Contains(stderr, words) {
		s.t.Errorf("cert %s %q: %q does not say %q", verb, args, stderr, words)
	}
}

// says wants words on standard output.
func (s *shelf) says(words, verb string, args ...string) {
	s.t.Helper()
	if stdout, _ := s.cert(0, verb, args...); !strings.Contains(stdout, words) {
		s.t.Errorf("cert %s %q lacks %q:\n%s", verb, args, words, stdout)
	}
}

func (s *shelf) list(args ...string) []describe.Stored {
	s.t.Helper()
	stdout, _ := s.cert(0, "list", append(args, "--json")...)
	var all []describe.Stored
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		s.t.Fatalf("cert list %q: %v\n%s", args, err, stdout)
	}
	return all
}

// TestCertListPages: more than are read at once come in order, each once, also
// when they are asked for in parts.
func TestCertListPages(t *testing.T) {
	s := newShelf(t)
	if n := len(s.list()); n != 0 {
		t.Errorf("%d in an empty store", n)
	}
	const total = 2*listPage + 17
	many := make([]*certs.Identity, total)
	key := s.issue(testpki.Leaf{}).Key // to make keys is what takes the time
	for i := range many {
		many[i] = s.issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("p%d@example.net", i)}, PrivateKey: key})
	}
	s.put(many...)
	s.says(fmt.Sprintf("\n%d certificates\n", total), "list")
	all := s.list()
	if len(all) != total {
		t.Fatalf("%d listed of %d", len(all), total)
	}
	for i := 1; i < len(all); i++ {
		if all[i-1].SHA256 >= all[i].SHA256 {
			t.Fatalf("%s comes before %s", all[i-1].SHA256, all[i].SHA256)
		}
	}
	const first = listPage + 3
	some := s.list("--limit", fmt.Sprint(first))
	rest := s.list("--after", some[len(some)-1].SHA256)
	if len(some) != first || len(rest) != total-first || rest[0].SHA256 != all[first].SHA256 {
		t.Errorf("in parts: %d and %d", len(some), len(rest))
	}
	s.fails(2, "several fingerprints", "show", all[0].SHA256[:1])
	s.fails(2, "64 digits", "list", "--after", "3f2a")
}

func TestCertListFilters(t *testing.T) {
	s := newShelf(t)
	now := time.Now()
	bob := s.put(s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	alice := s.putIdentity(s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, NotAfter: now.Add(10 * 24 * time.Hour)}))
	ended := s.put(s.issue(testpki.Leaf{Addresses: []string{"dave@example.net"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}))
	s.cert(0, "block", bob, "--note", "laptop <stolen>")
	for _, c := range []struct {
		want string
		args []string
	}{
		{bob, []string{"bob@example.net"}},
		{alice, []string{"--has-key", "yes"}},
		{alice, []string{"--expiring", "30d"}},
		{bob, []string{"--mark", "blocked"}},
		{ended, []string{"dave@example.net", "--has-key", "no", "--origin", "imported"}},
	} {
		if got := s.list(c.args...); len(got) != 1 || got[0].SHA256 != c.want {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
	for _, args := range [][]string{{"--origin", "harvested"}, {"--mark", "allowed"}, {"nobody@example.net"}, {"--expiring", "5d"}} {
		if got := s.list(args...); len(got) != 0 {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := s.list("--mark", "blocked"); got[0].Note != "laptop <stolen>" {
		t.Errorf("note %q", got[0].Note)
	}
	s.says(bob[:16]+"  imported   blocked ", "list")
	s.says(alice[:16]+"  imported   key ", "list")
	s.fails(2, `write a number with a unit, such as "12h" or "30d"`, "list", "--expiring", "soon")
	s.fails(2, "write local@domain", "list", "bob")
	s.fails(2, "unknown word", "list", "--origin", "found")
}

func TestCertShow(t *testing.T) {
	s := newShelf(t)
	bob := s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}, Key: "rsa2048"})
	s.write("bob.pem", testpki.EncodeCertificates(bob.Certificate))
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	foreign := (*certs.Identity)(testpki.Must(stranger.Issue(testpki.Leaf{Addresses: []string{"eve@example.net"}})))
	s.put(bob, foreign)
	s.cert(0, "block", sha(bob), "--note", "laptop stolen", "--until", "2099-01-31")
	for _, what := range []string{sha(bob), strings.ToUpper(sha(bob)), "bob@example.net", s.path("bob.pem")} {
		stdout, _ := s.cert(0, "show", what)
		for _, want := range []string{
			sha(bob) + "\n", "subject       CN=bob@example.net", "issuer        CN=Shelf CA", "addresses     bob@example.net\n",
			" days left", "key           RSA, 2048 bits", "key usage     digitalSignature", "purposes      emailProtection",
			"signing       no: blocked: ", "encryption    no: blocked: ", "laptop stolen", "store         imported, first seen ",
			"private key   not in the store", "mark          blocked until 2099-01-31: laptop stolen",
		} {
			if !strings.Contains(stdout, want) {
				t.Errorf("show %s lacks %q:\n%s", what, want, stdout)
			}
		}
	}
	s.cert(0, "clear", sha(bob))
	s.says("encryption    yes\n", "show", sha(bob))
	s.says("chain         trusted\n                0 CN=bob@example.net\n                1 CN=Shelf CA\n", "show", sha(bob))
	s.says("encryption    no: untrusted", "show", "eve@example.net")
	s.cert(0, "allow", sha(foreign))
	s.says("encryption    yes\n", "show", "eve@example.net")

	stdout, _ := s.cert(0, "show", "--json", s.path("ca.pem"))
	var list []describe.Certificate
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if c := list[0]; c.Stored != nil || c.Subject != "CN=Shelf CA" || c.Encryption.Reason != certs.WrongPurpose || c.ChainState != "trusted" {
		t.Errorf("%+v", c)
	}
	bare := s.put(s.issue(testpki.Leaf{Addresses: []string{"zoe@example.net"}, KeyUsage: testpki.NoKeyUsage, ExtKeyUsage: []x509.ExtKeyUsage{}}))
	s.says("key usage     not limited\n  purposes      not limited\n", "show", bare)
	s.fails(1, "in the store; see smimerelay cert list", "show", "0000000000")
	s.fails(1, "no certificate for this address", "show", "nobody@example.net")
	s.fails(2, "use a fingerprint, an address, or a file", "show", "no-such-file.pem")
}

// TestCertShowByTheStoreAlone: without a configuration only the store's own word
// counts.
func TestCertShowByTheStoreAlone(t *testing.T) {
	s := newShelf(t)
	bob := s.put(s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	var out, errs bytes.Buffer
	args := []string{"cert", "show", "--store", s.path("store.db"), "--key", s.path("store.key"), bob}
	if status := run(args, &app{stdout: &out, stderr: &errs, clock: time.Now}); status != 0 || !strings.Contains(out.String(), "encryption    no: untrusted") {
		t.Errorf("status %d\n%s%s", status, &out, &errs)
	}
}

func TestCertRemove(t *testing.T) {
	s := newShelf(t)
	old := s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"})
	young := s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"})
	s.putIdentity(old)
	s.fails(1, "the last key that decrypts mail to one of its addresses; import its replacement first, or use --force", "remove", sha(old))
	s.putIdentity(young)
	s.says("(alice@example.org) removed\n", "remove", sha(old)[:12])
	s.fails(1, "last key", "remove", sha(young))
	s.cert(0, "remove", "--force", sha(young))
	s.fails(1, "no such certificate in the store", "remove", sha(young))
	bob := s.put(s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	s.cert(0, "block", bob)
	s.fails(1, "blocked", "remove", bob)
	s.cert(0, "remove", "--force", bob)
	if n := len(s.list()); n != 0 {
		t.Errorf("%d are left", n)
	}
	s.fails(2, "is not a SHA-256 fingerprint or the start of one", "remove", "bob@example.net")
}

// TestCertChangesAsJSON: each verb that changes something tells it to programs too.
func TestCertChangesAsJSON(t *testing.T) {
	s := newShelf(t)
	alice := s.putIdentity(s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	bob := s.put(s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	for _, tt := range []struct {
		args []string
		want done
	}{
		{[]string{"pin", alice}, done{Done: "pinned"}},
		{[]string{"unpin", alice}, done{Done: "unpinned"}},
		{[]string{"block", bob, "--until", "2099-01-31"}, done{Done: "blocked", Until: "2099-01-31"}},
		{[]string{"block", alice}, done{Done: "blocked"}},
		{[]string{"clear", alice}, done{Done: "cleared"}},
		{[]string{"allow", bob}, done{Done: "allowed"}},
		{[]string{"clear", bob}, done{Done: "cleared"}},
		{[]string{"export", "bob@example.net", "--format", "der", "-o", s.path("out.der")}, done{Done: "exported", File: s.path("out.der")}},
		{[]string{"remove", bob}, done{Done: "removed"}},
	} {
		who := "alice@example.org"
		tt.want.SHA256, tt.want.Subject = alice, "CN="+who
		if tt.args[1] != alice {
			who = "bob@example.net"
			tt.want.SHA256, tt.want.Subject = bob, "CN="+who
		}
		tt.want.Addresses = []string{who}
		out, _ := s.cert(0, tt.args[0], append(tt.args[1:], "--json")...)
		var got done
		if err := json.Unmarshal([]byte(out), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: %v\n%swant %+v", tt.args, err, out, tt.want)
		}
	}
	var got done
	out, _ := s.cert(0, "export", "--json", alice)
	if err := json.Unmarshal([]byte(out), &got); err != nil || !strings.HasPrefix(got.PEM, "-----BEGIN CERTIFICATE-----") || got.File != "" {
		t.Errorf("%v\n%s", err, out)
	}
	s.fails(2, "--json: the output contains PEM; for der", "export", "--json", "--format", "der", alice)
}

func TestCertMark(t *testing.T) {
	s := newShelf(t)
	bob := s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}})
	s.write("bob.cer", bob.Certificate.Raw)
	s.write("two.pem", testpki.EncodeCertificates(bob.Certificate, s.ca.Certificate))
	s.fails(2, "--until: 2020-01-01 is in the past", "allow", s.path("bob.cer"), "--until", "2020-01-01")
	s.fails(2, `"tomorrow" is not a date`, "block", s.path("bob.cer"), "--until", "tomorrow")
	s.fails(2, "contains 2 certificates", "allow", s.path("two.pem"))
	s.fails(1, "use a file with the certificate instead", "block", sha(bob))
	s.fails(2, "no such file or directory", "block", s.path("missing.pem"))
	if n := len(s.list()); n != 0 {
		t.Errorf("%d came into the store by mistake", n)
	}
	s.says("(bob@example.net) allowed until 2099-01-31\n", "allow", s.path("bob.cer"), "--until", "2099-01-31")
	if got := s.list("--mark", "allowed"); len(got) != 1 || got[0].SHA256 != sha(bob) {
		t.Errorf("%+v", got)
	}
	alice := s.putIdentity(s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	s.says("this identity is no longer used to sign; its key still decrypts", "block", alice)
}

func TestCertPin(t *testing.T) {
	s := newShelf(t)
	alice := s.putIdentity(s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	bob := s.put(s.issue(testpki.Leaf{Addresses: []string{"bob@example.net"}}))
	s.cert(0, "pin", alice[:10])
	s.says("pinned: used to sign before newer ones", "show", alice)
	s.cert(0, "unpin", alice[:10])
	if got := s.list("--has-key", "yes"); got[0].Pinned {
		t.Error("still pinned")
	}
	s.fails(1, "only an identity can be pinned", "pin", bob)
}

// TestCertExpiring: who has a successor that does as much is not listed, whether
// it is in the store or in a file.
func TestCertExpiring(t *testing.T) {
	s := newShelf(t)
	stdout, _ := s.cert(0, "expiring")
	if stdout != "" {
		t.Errorf("it says %q where there is nothing to say", stdout)
	}
	in := func(days int) time.Time { return time.Now().Add(time.Duration(days)*24*time.Hour + time.Hour) }
	leaf := func(end time.Time, addresses ...string) testpki.Leaf {
		return testpki.Leaf{Addresses: addresses, Key: "rsa2048", NotAfter: end}
	}
	s.putIdentity(s.issue(leaf(in(20), "alice@example.org", "a.smith@example.org")))
	s.putIdentity(s.issue(leaf(in(5), "bob@example.org")))
	s.putIdentity(s.issue(leaf(time.Now().Add(-time.Minute), "past@example.org")))
	s.put(s.issue(leaf(in(3), "partner@example.net")))
	stdout, _ = s.cert(1, "expiring")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "(bob@example.org) expires on ") || !strings.Contains(lines[0], " in 5 days (store)") || !strings.Contains(lines[1], "alice@") {
		t.Errorf("listed:\n%s", stdout)
	}
	if stdout, _ := s.cert(1, "expiring", "--within", "7d", "--json"); strings.Contains(stdout, "alice@") || !strings.Contains(stdout, `"days": 5`) {
		t.Errorf("within a week:\n%s", stdout)
	}
	// One of two addresses has a successor; then both; then one that only signs.
	s.putIdentity(s.issue(leaf(in(400), "alice@example.org")))
	s.cert(1, "expiring", "--within", "25d")
	s.write("config.toml", append(testpki.Must(os.ReadFile(s.path("config.toml"))), "[identities]\npath = \"renewed.pem\"\n"...))
	s.write("renewed.pem", testpki.Must((*testpki.Identity)(s.issue(leaf(in(400), "a.smith@example.org"))).PEM()))
	signs := leaf(in(400), "bob@example.org")
	signs.KeyUsage = 1 // digitalSignature
	s.putIdentity(s.issue(signs))
	if stdout, _ := s.cert(1, "expiring"); strings.Contains(stdout, "alice@") || !strings.Contains(stdout, "bob@") {
		t.Errorf("after renewal:\n%s", stdout)
	}
	bob := s.putIdentity(s.issue(leaf(in(300), "bob@example.org")))
	s.cert(0, "expiring")
	s.cert(0, "block", bob) // it is no successor any more
	s.cert(1, "expiring")
}

// TestStoreFlags: a store that is not there, a key that is not its own, and flags
// that do not go together.
func TestStoreFlags(t *testing.T) {
	s := newShelf(t)
	s.putIdentity(s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	s.fails(2, "only for --store", "list", "--key", s.path("store.key"))
	s.fails(2, "does not exist", "list", "--store", s.path("none.db"))
	if _, err := store.CreateKey(s.path("other.key")); err != nil {
		t.Fatal(err)
	}
	s.fails(2, "--key: store ", "list", "--store", s.path("store.db"), "--key", s.path("other.key"))
	s.fails(2, "--key: key file ", "list", "--store", s.path("store.db"), "--key", s.path("ca.pem"))

	// A key file that is lost is not replaced by a new one.
	f := storeFlags{Store: s.path("store.db"), Key: s.path("lost.key")}
	err := f.withStore(&app{clock: time.Now}, fillStore, func(context.Context, *store.Store, *config.Config) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "is missing, but 1 private keys") {
		t.Errorf("a store whose key file is lost: %v", err)
	}
	if _, err := os.Stat(s.path("lost.key")); err == nil {
		t.Error("a key file that opens nothing is left behind")
	}
}
