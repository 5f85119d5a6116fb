package packaging

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestManualPages has groff and mandoc read the manual pages. They have no date: it would be
// another one in each commit.
func TestManualPages(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(rig.Root(t), "docs/*.[1-9]"))
	if err != nil || len(pages) < 3 {
		t.Fatalf("manual pages %q: %v", pages, err)
	}
	for _, page := range pages {
		if out, err := exec.Command(rig.Tool(t, "groff", "groff-base"), "-man", "-Tutf8", "-ww", "-z", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff: %v\n%s", err, out)
		}
		out, _ := exec.Command(rig.Tool(t, "mandoc", "mandoc"), "-T", "lint", page).CombinedOutput() // its status counts the dates
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") && !strings.Contains(line, "longer than 80 bytes") {
				t.Errorf("mandoc: %s", line)
			}
		}
	}
}
