package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestOverlapOfTheConfiguration: how long an expired key decrypts is as it is
// written, and without end where nothing is.
func TestOverlapOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: time.Now().AddDate(-2, 0, 0)}))
	id := testpki.Must(ca.Issue(testpki.Leaf{
		Addresses: []string{"alice@example.org"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(-48 * time.Hour),
	}))
	if err := os.WriteFile(filepath.Join(dir, "alice.pem"), testpki.Must(id.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.toml")
	for overlap, want := range map[string]int{"": 1, `decrypt_after_expiry = "72h"`: 1, `decrypt_after_expiry = "24h"`: 0} {
		text := fmt.Sprintf("hostname = \"gw.example.org\"\n[store]\nurl = \"\"\n[identities]\npath = %q\n%s\n", filepath.Join(dir, "alice.pem"), overlap)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		parts, problems := Load(file, time.Now, slog.New(slog.DiscardHandler))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		found, err := parts.Keys.Decryption(t.Context(), cms.ID{SubjectKeyID: id.Certificate.SubjectKeyId})
		if err != nil || len(found) != want {
			t.Errorf("%q: %d decrypt, want %d: %v", overlap, len(found), want, err)
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
}
