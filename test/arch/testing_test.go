package arch

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNoHelperIsLinked keeps what serves tests out of the program, and in one place:
// test and internal/testing. Only slapdtest stands apart, for scripts read the schema of
// Active Directory there.
func TestNoHelperIsLinked(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/smimerelay").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := 0
	for _, dep := range strings.Fields(string(out)) {
		name, ours := strings.CutPrefix(dep, module)
		if !ours {
			continue
		}
		linked++
		if forTests(name) {
			t.Errorf("the program links %s, which serves tests", name)
		}
	}
	if linked < 30 {
		t.Errorf("go list names %d packages of the program", linked)
	}
	for name, p := range packages(t) {
		// What opens a place that a configuration names asks whether a test runs.
		if slices.Contains(p.Imports, "testing") && !forTests(name) && name != "internal/config" {
			t.Errorf("%s serves tests; they belong below internal/testing", name)
		}
	}
}
