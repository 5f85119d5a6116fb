package service

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/ocsp"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestOCSP: the gateway answers what is revoked as soon as it is, for certificates that name
// the address; without ca.ocsp it answers nothing, and no certificate names it.
func TestOCSP(t *testing.T) {
	w := startWorld(t, strings.Replace(withAuthority(), "max_per_hour = 3", "max_per_hour = 3\nocsp = true", 1))
	c, problems := config.Load(w.config())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := w.open(w.storeFile())
	pair := inaugurate(t, c, s, w.now)
	w.log.wait(t, "/issuing.crl\n")
	authority := testpki.Must(NewAuthority(c, s, w.now, ca.Issuing, pair.Issuing))
	id := testpki.Must(authority.Issue(t.Context(), ca.Request{Address: testpki.Must(address.Parse("alice@example.org")), Key: "p256"}))[0]
	if got := id.Certificate.OCSPServer; len(got) != 1 || got[0] != "http://pki.example.org/smime/ocsp" {
		t.Errorf("the certificate names %q", got)
	}
	dir := t.TempDir()
	for name, list := range map[string][]*x509.Certificate{"root": {pair.Root.Certificate}, "issuing": {pair.Issuing.Certificate}, "alice": {id.Certificate}} {
		if err := os.WriteFile(filepath.Join(dir, name), testpki.EncodeCertificates(list...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() string {
		cmd := exec.Command("openssl", "ocsp", "-issuer", "issuing", "-cert", "alice", "-CAfile", "root", "-verify_other", "issuing", "-url", "http://"+w.address("admin")+"/ca/ocsp")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if text := ask(); !strings.Contains(text, "Response verify OK") || !strings.Contains(text, "alice: good") {
		t.Errorf("before the revocation:\n%s", text)
	}
	if _, err := authority.Revoke(t.Context(), id.Certificate, ca.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	if text := ask(); !strings.Contains(text, "alice: revoked") || !strings.Contains(text, "keyCompromise") {
		t.Errorf("after the revocation:\n%s", text)
	}
	w.reload(withAuthority(), "msg=reloaded")
	if status, _, _ := w.get("/ca/ocsp"); status != http.StatusNotFound {
		t.Errorf("switched off: %d", status)
	}
	w.stop()
}

// TestDelegates: one signs for five days, and the next is made while it still may; where none
// can be made, it serves to its end.
func TestDelegates(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	s := testpki.Must(store.Open(t.Context(), store.Config{}))
	defer s.Close()
	pair := testpki.Must(ca.Create(ca.Plan{Organization: "Example", Country: "DE", URL: "http://pki.example.org/", Key: "p256", Clock: clock}))
	authority := testpki.Must(NewAuthority(&config.Config{CA: config.CA{URL: "http://pki.example.org/", Profile: "strict"}}, s, clock, ca.Issuing, pair.Issuing))
	d := &delegates{clock: clock, made: map[[sha256.Size]byte]ocsp.Delegate{}}
	first := testpki.Must(d.of(authority))
	if again := testpki.Must(d.of(authority)); !again.Certificate.Equal(first.Certificate) {
		t.Error("another one at once")
	}
	now = now.Add(4*24*time.Hour + time.Hour)
	second := testpki.Must(d.of(authority))
	if second.Certificate.Equal(first.Certificate) || !now.Before(first.Certificate.NotAfter) {
		t.Error("not replaced in time")
	}
	authority.Key = pair.Root.Key.(crypto.Signer) // cannot certify
	now = now.Add(5 * 24 * time.Hour)
	if last := testpki.Must(d.of(authority)); !last.Certificate.Equal(second.Certificate) {
		t.Error("not the one that there is")
	}
	now = now.Add(3 * 24 * time.Hour)
	if _, err := d.of(authority); err == nil {
		t.Error("one that has expired signs")
	}
}
