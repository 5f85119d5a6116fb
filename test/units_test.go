package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// The exposure that `systemd-analyze security` may report, in tenths: 15 is 1.5.
const exposureLimit = "15"

// TestServiceHardening keeps the service's exposure where it is.
func TestServiceHardening(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	unit := filepath.Join(rig.Root(t), "systemd", "smimerelay.service")
	out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold="+exposureLimit, unit).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("no level in\n%s", out)
	}
}

// TestUnitsParse lets systemd read the units as if the binary were installed.
func TestUnitsParse(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	root := filepath.Join(rig.Root(t), "systemd")
	dir := t.TempDir()
	units, err := filepath.Glob(filepath.Join(root, "smimerelay*.s*"))
	if err != nil || len(units) < 2 {
		t.Fatalf("units %q: %v", units, err)
	}
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Base(unit))
		installed := strings.ReplaceAll(string(text), "/usr/bin/smimerelay", program)
		if err := os.WriteFile(path, []byte(installed), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command(analyze, args...).CombinedOutput()
	if err != nil || regexp.MustCompile(`smimerelay[a-z-]*\.(service|socket):`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}
