package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var question = regexp.MustCompile(`(?m)^\| [^|]+\? \| (.+) \|$`)

// TestPlaces: where docs/architecture.md says that something is decided, written or
// read, there is a file of that name.
func TestPlaces(t *testing.T) {
	rows := question.FindAllStringSubmatch(section(t, page(t), "## Where is it?"), -1)
	if len(rows) < 20 {
		t.Errorf("docs/architecture.md answers %d questions, want 20", len(rows))
	}
	for _, row := range rows {
		files := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1)
		if len(files) == 0 {
			t.Errorf("docs/architecture.md: the row %q names no file", row[0])
		}
		for _, f := range files {
			if _, err := os.Stat(filepath.Join("../..", f[1])); err != nil {
				t.Errorf("docs/architecture.md: %v", err)
			}
		}
	}
}
