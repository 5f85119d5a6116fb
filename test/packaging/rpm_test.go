package packaging

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestRPM has rpm read the package for its systems. Nothing in it is of the machine that built
// it, such as its name.
func TestRPM(t *testing.T) {
	tool := rig.Tool(t, "rpm", "rpm")
	file := build(t, rig.Root(t), "rpm", "smimerelay")
	if !bytes.Equal(read(t, file), read(t, build(t, elsewhere(t), "rpm", "smimerelay"))) {
		t.Error("two builds of the package differ")
	}
	if host := run(t, tool, "-qp", "--qf", "%{BUILDHOST}", file); !strings.HasSuffix(host, "smimerelay") {
		t.Errorf("built on %s", host)
	}
	files := run(t, tool, "-qp", "--qf", `[%{FILEMODES:perms} %{FILENAMES} %{FILEFLAGS:fflags}\n]`, file)
	for _, want := range []string{
		"-rwxr-xr-x /usr/bin/smimerelay ", "-rw-r----- /etc/smimerelay/config.toml cn", "-rw-r--r-- /usr/lib/systemd/system/smimerelay.service ",
		"-rw-r--r-- /usr/share/zsh/site-functions/_smimerelay ",
	} {
		if !strings.Contains(files, want+"\n") {
			t.Errorf("the package does not hold %s:\n%s", want, files)
		}
	}
	if strings.Contains(files, "/etc/logcheck") {
		t.Error("the package has a file of Debian")
	}
	for _, tag := range []string{"POSTIN", "PREUN", "POSTUN"} {
		script := filepath.Join(t.TempDir(), tag)
		if err := os.WriteFile(script, []byte(run(t, tool, "-qp", "--qf", "%{"+tag+"}", file)), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "sh", "-n", script)
	}
	run(t, tool, "--root", t.TempDir(), "--nodeps", "--test", "--install", file)
}

// TestVersion: a version before a release is below it for dpkg and rpm, and one that has no tag is
// below all.
func TestVersion(t *testing.T) {
	version := func(of string) string {
		return strings.TrimSpace(run(t, "env", "VERSION="+of, filepath.Join(rig.Root(t), "packaging/version")))
	}
	for _, pair := range [][2]string{{"1.0.0-rc1", "1.0.0"}, {"1.0.0-rc1", "1.0.0-rc2"}, {"", "0.0.1"}} {
		run(t, "dpkg", "--compare-versions", version(pair[0]), "lt", version(pair[1]))
	}
	if v := version("1.0.0-rc1"); strings.Contains(v, "-") {
		t.Errorf("rpm takes no - in the version %s", v)
	}
}
