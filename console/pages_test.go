package console

import (
	"io/fs"
	"regexp"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
)

// TestEveryTextIsTranslated: a text of the pages, and each word that they show from a closed
// list, has its German, and German has none that is not shown.
func TestEveryTextIsTranslated(t *testing.T) {
	shown := map[string]bool{}
	names, err := fs.Glob(templates, "pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\{\{t "([^"]+)"\}\}|\(item \. "[^"]+" "([^"]+)"\)|\(shares "([^"]+)"`)
	list := regexp.MustCompile(`range list ((?:"[^"]+" ?)+)`)
	word := regexp.MustCompile(`"([^"]+)"`)
	for _, name := range names {
		data, err := fs.ReadFile(templates, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range text.FindAllStringSubmatch(string(data), -1) {
			shown[m[1]+m[2]+m[3]] = true
		}
		for _, m := range list.FindAllStringSubmatch(string(data), -1) {
			for _, w := range word.FindAllStringSubmatch(m[1], -1) {
				shown[w[1]] = true
			}
		}
	}
	for _, o := range history.Outcomes {
		shown[string(o)] = true
	}
	for _, r := range access.Roles {
		shown[string(r)] = true
	}
	for _, e := range []error{errSignIn, errForbidden, errForm, errTooLarge, errBadForm, errNone, errReason, access.ErrRefused, access.ErrLocked} {
		shown[e.Error()] = true
	}
	for _, n := range notices {
		shown[n] = true
	}
	delete(shown, "")
	if len(shown) < 150 {
		t.Fatalf("only %d texts found", len(shown))
	}
	for s := range shown {
		if german[s] == "" {
			t.Errorf("no German for %q", s)
		}
	}
}

// TestRoutes: pages and operations can be registered together.
func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range New(Config{Operations: api.New(api.Operations{})}).Routes() {
		key := r.Method + " " + r.Path
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	if len(seen) < 70 {
		t.Errorf("only %d routes", len(seen))
	}
}
