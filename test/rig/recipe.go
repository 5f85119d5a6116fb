package rig

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Root returns the root of the repository, for a test in any folder below.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	tb.Fatal("no go.mod in any folder above the test")
	return ""
}

// Ports maps the ports and services that README.md writes to those in use.
type Ports map[string]int

var documented = regexp.MustCompile(`(?m)^(?:submission|smtp)\b|\b(?:2525|1002\d)\b`)

// Recipe returns a fenced block of README.md, named by the words after the
// fence ("master.cf filter"), with the ports replaced. What users copy is thus
// what the tests run.
func Recipe(tb testing.TB, name string, ports Ports) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(Root(tb), "README.md"))
	if err != nil {
		tb.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "\n```"+name+"\n")
	if !found {
		tb.Fatalf("README.md has no block %q", name)
	}
	block, _, _ = strings.Cut(block, "```")
	return ports.In(tb, block)
}

// In returns lines of README.md with the ports replaced.
func (ports Ports) In(tb testing.TB, text string) string {
	tb.Helper()
	return documented.ReplaceAllStringFunc(text, func(port string) string {
		if actual, ok := ports[port]; ok {
			return strconv.Itoa(actual)
		}
		tb.Fatalf("the test has no port for %q in\n%s", port, text)
		return ""
	})
}
