package service

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay/route"
	"github.com/smimerelay/smimerelay/smime/address"
)

var secretFile = regexp.MustCompile(`secret_file = "(.*)"`)

// TestRelayRecipes loads each recipe for a relay, and asks where mail goes.
func TestRelayRecipes(t *testing.T) {
	want := map[string]map[string]string{
		"exchange.toml":  {"alice@example.org": "exchange", "bob@example.net": "internet/example.net"},
		"smarthost.toml": {"alice@example.org": "provider", "bob@example.net": "provider"},
		"dovecot.toml": {
			"alice@example.org": "mailboxes", "bob@example.net": "internet/example.net", "carol@bank.example.net": "bank/bank.example.net",
		},
	}
	files, err := filepath.Glob(recipesFolder + "/relay/*.toml")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d recipes: %v", len(files), err)
	}
	for _, file := range files {
		dir := t.TempDir()
		text := testpki.Must(os.ReadFile(file))
		for _, m := range secretFile.FindAllSubmatch(text, -1) {
			if err := os.WriteFile(filepath.Join(dir, string(m[1])), []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
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
