package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDependenciesAreExplained: every direct dependency has its line in
// docs/dependencies.md.
func TestDependenciesAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	explained := 0
	for _, m := range mod.Require {
		if m.Indirect {
			continue
		}
		// A driver is explained with the library that it belongs to.
		path, _, _ := strings.Cut(m.Path, "/riverdriver")
		if !strings.Contains(string(page), "| "+path) {
			t.Errorf("docs/dependencies.md does not say what %s is for", m.Path)
		}
		explained++
	}
	if explained == 0 {
		t.Error("go.mod has no direct dependency")
	}
}
