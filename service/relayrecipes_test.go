package service

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay/route"
	"github.com/smimerelay/smimerelay/relay/userfile"
	"github.com/smimerelay/smimerelay/smime/address"
)

// namedFile is a file that a recipe names beside its own.
var namedFile = regexp.MustCompile(`(?m)^(secret_file|ca|tls_certificate|tls_key|users_file) = "(.*)"$`)

// TestRelayRecipes loads each recipe for a relay, and asks where mail goes.
func TestRelayRecipes(t *testing.T) {
	want := map[string]map[string]string{
		"application.toml":  {"alice@example.org": "mailboxes", "bob@example.net": "internet/example.net"},
		"exchange.toml":     {"alice@example.org": "exchange", "bob@example.net": "internet/example.net"},
		"google.toml":       {"alice@example.org": "google", "bob@example.net": "internet/example.net"},
		"microsoft365.toml": {"alice@example.org": "microsoft365", "bob@example.net": "microsoft365"},
		"smarthost.toml":    {"alice@example.org": "provider", "bob@example.net": "provider"},
		"dovecot.toml": {
			"alice@example.org": "mailboxes", "bob@example.net": "internet/example.net", "carol@bank.example.net": "bank/bank.example.net",
		},
	}
	files, err := filepath.Glob(recipesFolder + "/relay/*.toml")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d recipes: %v", len(files), err)
	}
	ca := newTLSCA(t)
	pair := ca.server("gw.example.org")
	for _, file := range files {
		dir := t.TempDir()
		text := testpki.Must(os.ReadFile(file))
		for _, m := range namedFile.FindAllSubmatch(text, -1) {
			writeNamed(t, ca, pair, filepath.Join(dir, string(m[2])), string(m[1]))
		}
		at := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
		parts, problems := loadElsewhere(t, at)
		if len(problems) > 0 {
			t.Errorf("%s: %v", file, problems)
			continue
		}
		for to, destination := range want[filepath.Base(file)] {
			f := route.Facts{Listener: parts.Config.Listeners[0].Name, Recipient: testpki.Must(address.Parse(to))}
			if got := parts.routes.table.Destination(f).String(); got != destination {
				t.Errorf("%s: %s goes to %s, want %s", file, to, got, destination)
			}
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
}

// writeNamed makes a file that a recipe names, by the option that names it.
func writeNamed(t *testing.T, ca *tlsCA, pair tls.Certificate, path, option string) {
	t.Helper()
	var err error
	switch option {
	case "ca":
		ca.write(path, tls.Certificate{Certificate: [][]byte{ca.cert.Raw}})
	case "tls_certificate", "tls_key":
		ca.write(path, pair)
	case "users_file":
		err = userfile.Add(path, "erp@example.org", "geheim")
	default:
		err = os.WriteFile(path, []byte("x\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
