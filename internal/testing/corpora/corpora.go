// Package corpora finds messages, certificates and keys that others made. Tests read them
// in place; they are not part of the project.
package corpora

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Dir returns the folder of the corpora: the variable CORPORA, or ../shared/corpora, both
// as seen from the root of the project. Where it is not there, the test is skipped, and
// with CI=true it fails.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, ok := Find(tb)
	if !ok {
		tb.Skip("no corpora: set CORPORA")
	}
	return dir
}

// Find is Dir for a test that has more than the corpora: it reports whether they are
// there. With CI=true the test fails where they are not.
func Find(tb testing.TB) (dir string, ok bool) {
	tb.Helper()
	if dir = os.Getenv("CORPORA"); dir == "" {
		dir = "../shared/corpora"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root(tb), dir)
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("no corpora: %v; set CORPORA", err)
		}
		return "", false
	}
	return dir, true
}

// root returns the folder of go.mod.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	tb.Fatal("no go.mod in any folder above the test")
	return ""
}

// Entry is a line of a manifest: a file, what it is, and what is expected of it.
type Entry struct{ File, Kind, Expected string }

// Manifest reads manifest.tsv of a folder.
func Manifest(tb testing.TB, dir string) (list []Entry) {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, "\t"); len(f) > 2 && f[0] != "file" {
			list = append(list, Entry{f[0], f[1], f[2]})
		}
	}
	return list
}
