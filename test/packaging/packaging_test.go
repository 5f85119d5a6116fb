// Package packaging tests the Debian package: that it is what Debian asks of a package, that
// two builds are the same, and that what it ships can be read by those who read it.
package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestPackage builds the package twice.
func TestPackage(t *testing.T) {
	first, second := build(t, "smimerelay"), build(t, "smimerelay")
	if !bytes.Equal(read(t, first), read(t, second)) {
		t.Error("two builds of the package differ")
	}
	t.Run("lintian", func(t *testing.T) {
		out, err := exec.Command(rig.Tool(t, "lintian", "lintian"), "--allow-root", "--fail-on", "error", first).CombinedOutput()
		if err != nil {
			t.Errorf("lintian: %v\n%s", err, out)
		}
	})
	t.Run("contents", func(t *testing.T) { testContents(t, first) })
}

// testContents looks for what an administrator will look for, with its mode.
func testContents(t *testing.T, file string) {
	list := run(t, "dpkg-deb", "--contents", file)
	for path, mode := range map[string]string{
		"./usr/bin/smimerelay":                               "-rwxr-xr-x",
		"./etc/smimerelay/config.toml":                       "-rw-r-----",
		"./lib/systemd/system/smimerelay.service":            "-rw-r--r--",
		"./usr/lib/sysusers.d/smimerelay.conf":               "-rw-r--r--",
		"./usr/lib/tmpfiles.d/smimerelay.conf":               "-rw-r--r--",
		"./etc/apparmor.d/smimerelay":                        "-rw-r--r--",
		"./usr/share/man/man1/smimerelay.1.gz":               "-rw-r--r--",
		"./usr/share/bash-completion/completions/smimerelay": "-rw-r--r--",
		"./usr/share/doc/smimerelay/sbom.cdx.json":           "-rw-r--r--",
		"./usr/share/doc/smimerelay/copyright":               "-rw-r--r--",
	} {
		found := false
		for line := range strings.Lines(list) {
			found = found || strings.HasPrefix(line, mode) && strings.HasSuffix(strings.TrimSpace(line), " "+path)
		}
		if !found {
			t.Errorf("the package does not hold %s with mode %s", path, mode)
		}
	}
	scratch := t.TempDir()
	run(t, "dpkg-deb", "--control", file, filepath.Join(scratch, "control"))
	for _, script := range []string{"postinst", "prerm", "postrm", "config"} {
		run(t, "sh", "-n", filepath.Join(scratch, "control", script))
	}
	if conffiles := string(read(t, filepath.Join(scratch, "control/conffiles"))); !strings.Contains(conffiles, "/etc/smimerelay/config.toml\n") {
		t.Errorf("the configuration is not kept by an upgrade: conffiles are\n%s", conffiles)
	}
	run(t, "dpkg-deb", "--extract", file, filepath.Join(scratch, "data"))
	if out := run(t, filepath.Join(scratch, "data/usr/bin/smimerelay"), "version"); !strings.HasPrefix(out, "smimerelay ") {
		t.Errorf("version: %s", out)
	}
	run(t, rig.Tool(t, "apparmor_parser", "apparmor"), "--skip-kernel-load", "--skip-cache", filepath.Join(scratch, "data/etc/apparmor.d/smimerelay"))
}

// TestAlerts has Prometheus read the alert rules.
func TestAlerts(t *testing.T) {
	run(t, rig.Tool(t, "promtool", "prometheus"), "check", "rules", filepath.Join(rig.Root(t), "packaging/alerts.yml"))
}

// TestAlertsKnowTheMetrics wants each metric of the rules in docs/metrics.md.
func TestAlertsKnowTheMetrics(t *testing.T) {
	documented := string(read(t, filepath.Join(rig.Root(t), "docs/metrics.md")))
	for _, word := range strings.FieldsFunc(string(read(t, filepath.Join(rig.Root(t), "packaging/alerts.yml"))), func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z')
	}) {
		name, _, _ := strings.Cut(word, "_count")
		if strings.HasPrefix(word, "smimerelay_") && !strings.Contains(documented, "`"+name+"`") {
			t.Errorf("the alert rules name %s, which docs/metrics.md does not", word)
		}
	}
}

// TestPackageForTokens looks into the package with the helper.
func TestPackageForTokens(t *testing.T) {
	file := build(t, "smimerelay-pkcs11")
	if out, err := exec.Command(rig.Tool(t, "lintian", "lintian"), "--allow-root", "--fail-on", "error", file).CombinedOutput(); err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
	scratch := t.TempDir()
	run(t, "dpkg-deb", "--extract", file, scratch)
	for _, path := range []string{"usr/bin/smimerelay-token", "usr/share/man/man1/smimerelay-token.1.gz", "usr/share/doc/smimerelay-pkcs11/sbom.cdx.json"} {
		read(t, filepath.Join(scratch, path))
	}
	if depends := run(t, "dpkg-deb", "--field", file, "Depends"); !strings.Contains(depends, "smimerelay (= ") {
		t.Errorf("depends on %s", depends)
	}
	if out := run(t, filepath.Join(scratch, "usr/bin/smimerelay-token"), "--help"); !strings.Contains(out, "--listen PATH URI") {
		t.Errorf("help: %s", out)
	}
}

func build(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(rig.Root(t), "packaging/build"), "deb", name)
	cmd.Env = append(os.Environ(), "DIST="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s made %q, %v", cmd, files, err)
	}
	return files[0]
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
