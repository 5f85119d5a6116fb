package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// authorityConfig is that of a service with an authority, which issues for mail to
// issue.example.
const authorityConfig = `
[admin]
address = "127.0.0.1:0"
[ca]
url = "http://pki.example.org/smime/"
folder = "%DIR%"
max_per_hour = 3
[[rule]]
name = "issue"
recipient = ["issue.example"]
sign = "require"
encrypt = "never"
issue = true
`

// withAuthority is storedConfig with an authority.
func withAuthority() string {
	before, after, _ := strings.Cut(storedConfig, "[[rule]]")
	return before + authorityConfig + "[[rule]]" + after
}

// inaugurate makes an authority, as ca init does.
func inaugurate(t *testing.T, c *config.Config, s *store.Store, clock func() time.Time) *ca.Pair {
	t.Helper()
	pair, err := ca.Create(ca.Plan{Organization: "Example", Country: "DE", URL: c.CA.URL, Key: "p256", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Issued(t.Context(), pair.Issuing.Certificate); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutIdentity(t.Context(), store.Authority, pair.Root, pair.Issuing); err != nil {
		t.Fatal(err)
	}
	return pair
}

func startAuthority(t *testing.T) (*world, *store.Store, *config.Config) {
	t.Helper()
	w := startWorld(t, withAuthority())
	c, problems := config.Load(w.config())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return w, w.open(w.storeFile()), c
}

// sendFrom sends a message of an author to issue.example.
func (w *world) sendFrom(from string) error {
	w.t.Helper()
	c, err := smtp.Dial(w.address("out"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Mail(from), c.Rcpt("x@issue.example")); err != nil {
		return err
	}
	d, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(d, "From: %s\r\nTo: x@issue.example\r\nSubject: from %s\r\n\r\nHello.\r\n", from, from)
	return d.Close()
}

func (w *world) get(name string) (int, []byte, http.Header) {
	w.t.Helper()
	r, err := http.Get("http://" + w.address("admin") + name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, body, r.Header
}

// list fetches a revocation list from the admin address; nil where there is none.
func (w *world) list(name string) *x509.RevocationList {
	w.t.Helper()
	status, body, header := w.get("/ca/" + name)
	if status == http.StatusNotFound {
		return nil
	}
	l, err := x509.ParseRevocationList(body)
	if status != http.StatusOK || err != nil || header.Get("Content-Type") != "application/pkix-crl" {
		w.t.Fatalf("%s: %d, %v, %v", name, status, err, header)
	}
	return l
}

// TestAuthorityAtWork: one that is made while the gateway serves publishes and
// issues without a restart, and what it revoked is in the next list at once.
func TestAuthorityAtWork(t *testing.T) {
	w, s, c := startAuthority(t)
	if status, _, _ := w.get("/ca/issuing.crl"); status != http.StatusNotFound {
		t.Errorf("a list without an authority: %d", status)
	}
	if err := w.sendFrom("new@example.org"); replyCode(err) != 451 {
		t.Errorf("without an authority: %v", err)
	}
	w.log.wait(t, "create one with: smimerelay ca init")

	pair := inaugurate(t, c, s, w.now)
	w.log.waitCount(t, "msg=published file="+w.dir+"/issuing.crl", 1)
	if status, body, header := w.get("/ca/root.cer"); status != http.StatusOK || string(body) != string(pair.Root.Certificate.Raw) || header.Get("Content-Type") != "application/pkix-cert" {
		t.Errorf("root.cer: %d, %v", status, header)
	}
	for _, name := range []string{"root.crl", "issuing.crl"} {
		if l := w.list(name); l == nil || len(l.RevokedCertificateEntries) != 0 {
			t.Errorf("%s: %v", name, l)
		}
	}
	if status, _, _ := w.get("/metrics"); status != http.StatusOK {
		t.Errorf("metrics: %d", status)
	}

	if err := w.sendFrom("new@example.org"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 1)
	found := issuedFor(t, s, "new@example.org")
	if len(found) != 1 || !found[0].HasKey {
		t.Fatalf("%d identities", len(found))
	}
	if err := w.sendFrom("new@example.org"); err != nil || len(issuedFor(t, s, "new@example.org")) != 1 {
		t.Errorf("the second message: %v", err)
	}
	// The bound: three in an hour.
	for i, code := range []int{0, 0, 451} {
		if err := w.sendFrom(fmt.Sprintf("user%d@example.org", i)); replyCode(err) != code || code == 0 && err != nil {
			t.Errorf("user %d: %v", i, err)
		}
	}
	w.log.wait(t, "too many certificates were issued in the last hour")

	before := w.list("issuing.crl")
	a, err := OpenAuthorities(t.Context(), c, s, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Issuing.Revoke(t.Context(), found[0].Certificate, ca.Cessation); err != nil {
		t.Fatal(err)
	}
	if l := w.list("issuing.crl"); len(l.RevokedCertificateEntries) != 1 || l.Number.Cmp(before.Number) <= 0 {
		t.Errorf("after the revocation: %d entries", len(l.RevokedCertificateEntries))
	}
	// Whose certificate was taken for good gets no other one without being asked for.
	w.advance(2 * time.Hour)
	if err := w.sendFrom("new@example.org"); replyCode(err) != 451 {
		t.Errorf("after the revocation: %v", err)
	}
	w.log.wait(t, "was revoked (cessation)")
	w.stop()
}

func issuedFor(t *testing.T, s *store.Store, text string) []store.Entry {
	t.Helper()
	addr, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(t.Context(), store.Query{Address: &addr, Origins: []store.Origin{store.Issued}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestListsAreRefreshed: before they end, by a gateway that just runs on.
func TestListsAreRefreshed(t *testing.T) {
	w, s, c := startAuthority(t)
	inaugurate(t, c, s, w.now)
	const list = "/issuing.crl\n"
	w.log.waitCount(t, list, 1)
	before := w.list("issuing.crl")
	w.advance(c.CA.CRLRefresh + time.Minute)
	w.log.waitCount(t, list, 2)
	after := w.list("issuing.crl")
	if after.Number.Cmp(before.Number) <= 0 || !after.NextUpdate.After(before.NextUpdate) {
		t.Errorf("list %v until %v after %v until %v", after.Number, after.NextUpdate, before.Number, before.NextUpdate)
	}
	file, err := os.ReadFile(filepath.Join(w.dir, "issuing.crl"))
	if err != nil || string(file) != string(after.Raw) {
		t.Errorf("the file is another list: %v", err)
	}
	info, err := os.Stat(filepath.Join(w.dir, "issuing.crl"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(w.dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	w.stop()
}

// TestUnlistedRevocation: a process that recorded a revocation and ended before it had made the
// CRL, as cert revoke may, leaves it to the gateway, which does not wait for crl_refresh.
func TestUnlistedRevocation(t *testing.T) {
	w, s, c := startAuthority(t)
	inaugurate(t, c, s, w.now)
	const list = "/issuing.crl\n"
	w.log.waitCount(t, list, 1)
	if err := w.sendFrom("new@example.org"); err != nil {
		t.Fatal(err)
	}
	cert := issuedFor(t, s, "new@example.org")[0].Certificate
	if err := s.Revoke(t.Context(), cert.RawIssuer, cert.SerialNumber, w.now(), 1); err != nil {
		t.Fatal(err)
	}
	w.log.waitCount(t, list, 2)
	if l := w.list("issuing.crl"); len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(cert.SerialNumber) != 0 {
		t.Errorf("%d entries", len(l.RevokedCertificateEntries))
	}
	w.stop()
}

// library is a store with an authority, and without a service.
func library(t *testing.T, change func(*config.Config)) (*Authorities, *ca.Pair, *config.Config, *store.Store) {
	t.Helper()
	c := config.Default()
	c.CA.URL, c.Domains = "http://pki.example.org/", []string{"example.org"}
	if change != nil {
		change(c)
	}
	s, err := store.Open(t.Context(), store.Config{Key: make([]byte, store.KeySize), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	pair := inaugurate(t, c, s, time.Now)
	a, err := OpenAuthorities(t.Context(), c, s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a, pair, c, s
}

// TestRootElsewhere: without the key of the root its list is not made, and we ask
// for it in time.
func TestRootElsewhere(t *testing.T) {
	_, pair, c, _ := library(t, nil)
	s, err := store.Open(t.Context(), store.Config{Key: make([]byte, store.KeySize), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Put(t.Context(), store.Authority, store.New{Certificate: pair.Root.Certificate}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthorities(t.Context(), c, s, time.Now); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("a root alone: %v", err)
	}
	if _, err := s.PutIdentity(t.Context(), store.Authority, pair.Issuing); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a, err := OpenAuthorities(t.Context(), c, s, func() time.Time { return now })
	if err != nil || a.Root == nil || a.Root.Authority != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	if made, note := a.refresh(t.Context(), *a.Root); made || !strings.Contains(note, "smimerelay ca crl --root FILE") {
		t.Errorf("without a list: %t, %q", made, note)
	}
	root, err := a.With(ca.Root, pair.Root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.CRL(t.Context()); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{time.Hour: false, 200 * 24 * time.Hour: false, 310 * 24 * time.Hour: true, 400 * 24 * time.Hour: true} {
		now = time.Now().Add(after)
		if _, note := a.refresh(t.Context(), *a.Root); (note != "") != want {
			t.Errorf("after %v: %q", after, note)
		}
	}
}

// TestRevokedAuthority: what the root says about the authority below it counts with
// us too.
func TestRevokedAuthority(t *testing.T) {
	a, pair, _, s := library(t, nil)
	addr, err := address.Parse("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := a.Issuing.Issue(t.Context(), ca.Request{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	verdict := func() certs.Verdict {
		t.Helper()
		for _, h := range a.All() {
			if _, err := h.Authority.CRL(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		v, err := StoreChecker(t.Context(), s, address.IgnoreCase, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return v.Check(context.Background(), ids[0].Certificate, certs.Request{
			Purpose: certs.ForSigning, Intermediates: ids[0].Chain, Revocation: certs.RevocationRequire,
		})
	}
	if d := verdict(); d.Result != certs.Pass || len(d.Chain) != 3 || d.Revocation != "good" {
		t.Errorf("%+v", d)
	}
	if _, err := a.Root.Authority.Revoke(t.Context(), pair.Issuing.Certificate, ca.CACompromise); err != nil {
		t.Fatal(err)
	}
	if d := verdict(); d.Reason != certs.Revoked {
		t.Errorf("below a revoked authority: %+v", d)
	}
}

// TestRevokedSignsNoMore: and still decrypts.
func TestRevokedSignsNoMore(t *testing.T) {
	a, _, _, s := library(t, nil)
	addr, err := address.Parse("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := a.Issuing.Issue(t.Context(), ca.Request{Address: addr})
	if err == nil {
		err = a.keep(t.Context(), ids...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Keys().Signing(t.Context(), addr); err != nil || id == nil {
		t.Fatalf("before: %v", err)
	}
	if _, err := a.Issuing.Revoke(t.Context(), ids[0].Certificate, ca.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	if id, err := s.Keys().Signing(t.Context(), addr); err != nil || id != nil {
		t.Errorf("a revoked identity signs: %v", err)
	}
	found, err := s.Keys().Decryption(t.Context(), cms.ID{SubjectKeyID: ids[0].Certificate.SubjectKeyId})
	if err != nil || len(found) != 1 {
		t.Errorf("a revoked identity does not decrypt: %v", err)
	}
	if err := a.withheld(t.Context(), addr); err != nil {
		t.Errorf("after a compromise there is no new key: %v", err)
	}
}

// TestPublishReplaces: never half a file, and nothing where nothing changed.
func TestPublishReplaces(t *testing.T) {
	a, _, c, _ := library(t, func(c *config.Config) { c.CA.Folder = t.TempDir() })
	if _, err := a.Issuing.CRL(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := a.WriteFiles(t.Context())
	if err != nil || len(first) != 3 { // the root has no list yet
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := a.WriteFiles(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("written again: %v, %v", again, err)
	}
	c.CA.Folder = filepath.Join(c.CA.Folder, "missing")
	if _, err := a.WriteFiles(t.Context()); err == nil || !strings.Contains(err.Error(), "ca.folder") {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

// TestRenewedAuthority: after the one before was revoked its identities are followed
// with the next message, and both publish.
func TestRenewedAuthority(t *testing.T) {
	w, s, c := startAuthority(t)
	pair := inaugurate(t, c, s, w.now)
	w.log.wait(t, "/issuing.crl\n")
	if err := w.sendFrom("new@example.org"); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAuthorities(t.Context(), c, s, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Root.Authority.Revoke(t.Context(), pair.Issuing.Certificate, ca.CACompromise); err != nil {
		t.Fatal(err)
	}
	w.settled(s)
	if a, err = OpenAuthorities(t.Context(), c, s, w.now); err != nil || !errors.Is(a.Spent, errRevokedAuthority) {
		t.Fatalf("a revoked authority: %v", err)
	}
	if err := w.sendFrom("newer@example.org"); replyCode(err) != 451 {
		t.Errorf("a revoked authority issued: %v", err)
	}
	w.log.wait(t, "create a new one below the same root with: smimerelay ca renew")

	next, err := ca.CreateIssuing(ca.Plan{Organization: "Example", Country: "DE", URL: c.CA.URL, Key: "p256", Generation: 2, Clock: w.now}, pair.Root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutIdentity(t.Context(), store.Authority, next); err != nil {
		t.Fatal(err)
	}
	w.log.wait(t, "/issuing-2.crl\n")
	if err := w.sendFrom("new@example.org"); err != nil {
		t.Fatal(err)
	}
	found := issuedFor(t, s, "new@example.org")
	if len(found) != 2 || found[0].Certificate.CheckSignatureFrom(next.Certificate) != nil && found[1].Certificate.CheckSignatureFrom(next.Certificate) != nil {
		t.Errorf("%d certificates, none of the new authority", len(found))
	}
	for _, name := range []string{"issuing.crl", "issuing-2.crl", "root.crl"} {
		if w.list(name) == nil {
			t.Errorf("%s is not published", name)
		}
	}
	w.stop()
}
