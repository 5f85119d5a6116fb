package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What looks like an address of another database is not taken for the name of a file.
func TestStoreURLWithScheme(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:store.db":          `write "store.db"`,
		"file:/var/lib/x/store.db": `write "/var/lib/x/store.db"`,
		"mysql:x":                  "write the path alone",
		"sqlite:///x/store.db":     "neither a path",
		"/var/lib/x/store.db":      "",
		"/var/lib/a:b/store.db":    "",
		`C:\\smimerelay\\store.db`: "",
	} {
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte("hostname = \"gw.example.org\"\n[store]\nurl = \""+url+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, problems := Load(file)
		text := ""
		for _, p := range problems {
			if p.Key == "store.url" {
				text += p.String()
			}
		}
		if (text != "") != (want != "") || !strings.Contains(text, want) {
			t.Errorf("%s: %q", url, text)
		}
	}
}
