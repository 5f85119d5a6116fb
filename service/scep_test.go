package service

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/scep"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// scepClient trusts the CA by its fingerprint alone.
func (e *estWorld) scepClient(secret string, root *x509.Certificate) *scep.Client {
	e.t.Helper()
	password := filepath.Join(e.t.TempDir(), "challenge")
	if err := os.WriteFile(password, []byte(secret), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return testpki.Must(scep.NewClient(scep.ClientConfig{URL: strings.TrimSuffix(e.base, "/.well-known/est") + scep.Path, TLS: e.tls,
		Fingerprint: fmt.Sprintf("%x", sha256.Sum256(root.Raw)), PasswordFile: password, Clock: e.now}))
}

// TestSCEP: the CA gets an identity by which it is spoken to; a client with the secret of an
// invitation as challenge password gets one certificate for one key, and renews it with the
// certificate alone, until it is revoked.
func TestSCEP(t *testing.T) {
	e := startEST(t, `scep_address = "scep-ra@example.org"`)
	alice := "alice@example.org"
	pair := e.ca()
	e.log.waitCount(t, "msg=\"identity issued\"", 1)
	a := testpki.Must(address.Parse(alice))
	if err := e.store.PutInvitation(t.Context(), "the secret", a, e.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	rsaOrder := func(text string, current *certs.Identity) *enrol.Order {
		o := order(t, text, current)
		o.Key = testpki.Must(ca.GenerateKey("rsa2048"))
		return o
	}
	root := pair.Root.Certificate
	if _, err := e.scepClient("other", root).Begin(t.Context(), rsaOrder(alice, nil)); err == nil || !strings.Contains(err.Error(), "challenge password") {
		t.Errorf("a wrong secret: %v", err)
	}
	c := e.scepClient("the secret", root)
	if _, err := c.Begin(t.Context(), rsaOrder("bob@example.org", nil)); err == nil {
		t.Error("issued for another address")
	}
	first := rsaOrder(alice, nil)
	got := testpki.Must(c.Begin(t.Context(), first))
	id := &certs.Identity{Certificate: got.Certificates[0], Key: first.Key}
	if err := id.Check(); err != nil || certs.Addresses(id.Certificate)[0].String() != alice {
		t.Fatal(err)
	}
	if again := testpki.Must(c.Continue(t.Context(), first)); !again.Certificates[0].Equal(id.Certificate) {
		t.Error("the same request got another certificate")
	}
	if _, err := c.Begin(t.Context(), rsaOrder(alice, nil)); err == nil {
		t.Error("the secret was used for two keys")
	}
	e.advance(time.Minute)
	renewed, err := e.scepClient("", root).Begin(t.Context(), rsaOrder(alice, id))
	if err != nil || renewed.Certificates[0].Equal(id.Certificate) {
		t.Fatalf("not renewed: %v", err)
	}
	authorities := testpki.Must(OpenAuthorities(t.Context(), e.parsed(), e.store, e.now))
	if _, err := authorities.Issuing.Revoke(t.Context(), id.Certificate, ca.Superseded); err != nil {
		t.Fatal(err)
	}
	if _, err := e.scepClient("", root).Begin(t.Context(), rsaOrder(alice, id)); err == nil {
		t.Error("renewed by a certificate that was revoked")
	}
	e.stop()
}

// TestSCEPUsesOneKey: of all keys in the store, only that of the address for SCEP opens what
// strangers send.
func TestSCEPUsesOneKey(t *testing.T) {
	e := startEST(t, `scep_address = "scep-ra@example.org"`)
	e.ca()
	e.log.waitCount(t, "msg=\"identity issued\"", 1)
	other := (*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"})))
	_ = testpki.Must(e.store.PutIdentity(t.Context(), store.Imported, other))
	authorities := testpki.Must(OpenAuthorities(t.Context(), e.parsed(), e.store, e.now))
	d := scepCA{requestCA{authorities, slog.New(slog.DiscardHandler)}, testpki.Must(address.Parse("scep-ra@example.org")), e.store.Keys()}
	ra, _, err := d.RA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for want, id := range map[int]*certs.Identity{0: other, 1: ra} {
		if list := testpki.Must(d.Keys(t.Context(), cms.CertificateID(id.Certificate))); len(list) != want {
			t.Errorf("%d keys for %s", len(list), id.Certificate.Subject)
		}
	}
	e.stop()
}

// TestNoSCEP where it is not configured.
func TestNoSCEP(t *testing.T) {
	e := startEST(t)
	e.ca()
	e.base = strings.TrimSuffix(e.base, "/.well-known/est")
	if status, _ := e.post("scep?operation=PKIOperation", nil, nil); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	e.stop()
}
