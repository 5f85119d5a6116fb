package corpora

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answer is what became of a test that asked for the corpora.
type answer struct {
	testing.TB
	outcome string
}

func (a *answer) Helper() {}

func (a *answer) Skip(...any) { a.end("skipped") }

func (a *answer) Fatalf(string, ...any) { a.end("failed") }

func (a *answer) end(outcome string) {
	a.outcome = outcome
	panic(a)
}

// TestAbsent: a test without corpora is skipped, and with CI=true it fails.
func TestAbsent(t *testing.T) {
	t.Setenv("CORPORA", filepath.Join(t.TempDir(), "none"))
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		a := &answer{TB: t}
		func() {
			defer func() {
				if r := recover(); r != any(a) {
					t.Errorf("ended with %v", r)
				}
			}()
			Dir(a)
		}()
		if a.outcome != want {
			t.Errorf("CI=%q: %q instead of %q", ci, a.outcome, want)
		}
	}
}

// TestManifest reads a manifest without its heading.
func TestManifest(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CORPORA", dir)
	if got := Dir(t); got != dir {
		t.Errorf("found %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.tsv"), []byte("file\tkind\texpected\tnote\na.eml\tmessage\tpass\t\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Entry{{"a.eml", "message", "pass"}}, Manifest(t, dir)); diff != "" {
		t.Error(diff)
	}
}
