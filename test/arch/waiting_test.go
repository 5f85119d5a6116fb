package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// waiting are the ways to wait for something by the clock instead of for the thing,
// and to fail where the machine is slow. Who must give up after a time has a context,
// and what must not cost too much counts the work.
var waiting = regexp.MustCompile(`\b(runtime\.Gosched|time\.(Sleep|After|Tick))\(|:?= *time\.Since\(.*; `)

// TestNoTestWaitsByTheClock reads the sources of all tests.
func TestNoTestWaitsByTheClock(t *testing.T) {
	read := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isTest(path) {
			return err
		}
		read++
		text, err := os.ReadFile(path)
		for number, line := range strings.Split(string(text), "\n") {
			if waiting.MatchString(line) {
				t.Errorf("%s:%d: %s", path, number+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil || read < 100 {
		t.Fatalf("%d tests: %v", read, err)
	}
}

// isTest reports whether a file is of a test, or of what only tests import.
func isTest(path string) bool {
	path = filepath.ToSlash(path)
	return strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "/arch/waiting_test.go") ||
		strings.HasSuffix(path, ".go") && (strings.Contains(path, "/test/rig/") || strings.Contains(path, "/internal/testing/"))
}
