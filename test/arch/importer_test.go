package arch

import (
	"os"
	"os/exec"
	"testing"
)

// TestImporter builds and tests a module of its own that uses the library, without
// the network: what it needs is in the module cache and in its go.sum.
func TestImporter(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", "./...")
	cmd.Dir = "../importer"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
