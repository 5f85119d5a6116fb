package service

import (
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// A pair of identities of which the half that signs is in a file and the other in
// the store announces the latter, as long as it is not blocked.
func TestPairOfFileAndStore(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	issue := func(key string, usage x509.KeyUsage) *testpki.Identity {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: key, KeyUsage: usage}))
	}
	signs, encrypts := issue("p256", x509.KeyUsageDigitalSignature), issue("rsa2048", x509.KeyUsageKeyEncipherment)
	config := filepath.Join(dir, "config.toml")
	text := "hostname = \"gw.example.org\"\n[store]\nurl = \"store.db\"\nkey_file = \"store.key\"\n[identities]\npath = \"alice.pem\"\n"
	for name, data := range map[string][]byte{config: []byte(text), filepath.Join(dir, "alice.pem"): testpki.Must(signs.PEM())} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := testpki.Must(store.CreateKey(filepath.Join(dir, "store.key")))
	s := testpki.Must(store.Open(t.Context(), store.Config{URL: filepath.Join(dir, "store.db"), Key: key, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	if _, err := s.PutIdentity(t.Context(), store.Imported, (*certs.Identity)(encrypts)); err != nil {
		t.Fatal(err)
	}
	parts, problems := Load(config, time.Now, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer parts.Close()
	alice := testpki.Must(address.Parse("alice@example.org"))
	id, err := parts.Keys.Signing(t.Context(), alice)
	if err != nil || !id.Certificate.Equal(signs.Certificate) || len(id.Chain) == 0 || !id.Chain[0].Equal(encrypts.Certificate) {
		t.Errorf("the pair is %+v, %v", id, err)
	}
	if err := s.SetMark(t.Context(), sha256.Sum256(encrypts.Certificate.Raw), store.Blocked, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	id, err = parts.Keys.Signing(t.Context(), alice)
	if err != nil || len(id.Chain) > 0 && id.Chain[0].Equal(encrypts.Certificate) {
		t.Errorf("a blocked one is announced: %+v, %v", id, err)
	}
}
