package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The language of a question follows its recipient, and check says that an author
// without an identity asks no one.
func TestQuestionsOfAConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	const text = `
hostname = "gw.example.org"
[notices]
language = "de"
[ask]
from = "certificates@example.org"
english = ["uk.example.de", ".example.com"]
[[rule]]
name = "partner"
recipient = ["partner.example"]
encrypt = "require"
no_certificate = "ask"
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`
	for config, warned := range map[string]bool{text: true, strings.Replace(text, `"ask"`, `"hold"`, 1): false} {
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		p, problems := loadElsewhere(t, file)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if got := about(p.Warnings(Holdings{}, time.Now()), "certificates@example.org"); (got != "") != warned {
			t.Errorf("warnings: %q", got)
		}
		for to, want := range map[string]string{"a@firma.de": "de", "a@uk.example.de": "en", "a@x.example.com": "en", "a@example.fr": "de"} {
			a, err := address.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Gateway.Ask.Language(a); got != want {
				t.Errorf("%s is asked in %q", to, got)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Questions have a return path where the configuration names its domain, and the null sender where it
// does not.
func TestReturnPathOfQuestions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	for _, domain := range []string{"", "bounce.example.org"} {
		if err := os.WriteFile(file, []byte("hostname = \"gw.example.org\"\n[ask]\nbounce_domain = \""+domain+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p, problems := loadElsewhere(t, file)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		path := p.Gateway.Ask.ReturnPath
		if (path != nil) != (domain != "") {
			t.Errorf("%q: return path %v", domain, path)
		}
		if path != nil {
			if a, err := path.Question("x", time.Now()); err != nil || a.Domain() != domain {
				t.Errorf("questions leave as %s (%v)", a, err)
			}
			if !p.Gateway.ReturnPath.Claims(testpki.Must(address.Parse("smr0=x@gw.example.org"))) {
				t.Error("mail that was encrypted has another domain")
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
