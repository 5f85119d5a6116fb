// Package packaging tests the Debian package: that it is what Debian asks of a package, that
// two builds are the same, and that what it ships can be read by those who read it.
package packaging

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestPackage builds the package twice.
func TestPackage(t *testing.T) {
	first, second := build(t, rig.Root(t), "deb", "smimerelay"), build(t, elsewhere(t), "deb", "smimerelay")
	if !bytes.Equal(read(t, first), read(t, second)) {
		t.Error("two builds of the package differ")
	}
	t.Run("lintian", func(t *testing.T) {
		out, err := exec.Command(rig.Tool(t, "lintian", "lintian"), "--allow-root", "--fail-on", "error,warning", first).CombinedOutput()
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
		"./usr/share/doc/smimerelay/examples/config.toml":    "-rw-r--r--",
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

// TestAlerts has Prometheus read the alert rules, and evaluate each on metrics of a gateway
// that is well and of one that is not.
func TestAlerts(t *testing.T) {
	promtool, folder := rig.Tool(t, "promtool", "prometheus"), filepath.Join(rig.Root(t), "packaging")
	run(t, promtool, "check", "rules", filepath.Join(folder, "alerts.yml"))
	run(t, promtool, "test", "rules", filepath.Join(folder, "alerts_test.yml"))
	tested := string(read(t, filepath.Join(folder, "alerts_test.yml")))
	for line := range strings.Lines(string(read(t, filepath.Join(folder, "alerts.yml")))) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "alert: "); ok && !strings.Contains(tested, "\n        alertname: "+name+"\n") {
			t.Errorf("no test has %s fire", name)
		}
	}
}

// TestLogcheck: logcheck passes over what is normal, and shows the rest.
func TestLogcheck(t *testing.T) {
	rules := filepath.Join(rig.Root(t), "packaging/logcheck")
	for line, normal := range map[string]bool{
		`Nov 30 07:16:09 mail smimerelay[812]: time=2026-11-30T07:16:09.123Z level=INFO msg=serving version=0.1.0`:                     true,
		`2026-11-30T07:16:09.123456+01:00 mail smimerelay[812]: time=2026-11-30T07:16:09.123+01:00 level=INFO msg=delivered id=4cWq3Y`: true,
		`Nov 30 07:16:09 mail smimerelay[812]: time=2026-11-30T07:16:09.123Z level=WARN msg="login failed" user=level=INFO`:            false,
		`Nov 30 07:16:09 mail smimerelay[812]: panic: level=INFO`:                                                                      false,
		`Nov 30 07:16:09 mail sshd[812]: time=2026-11-30T07:16:09.123Z level=INFO msg=serving`:                                         false,
	} {
		cmd := exec.Command("grep", "--extended-regexp", "--quiet", "--file", rules)
		cmd.Stdin = strings.NewReader(line + "\n")
		if err := cmd.Run(); (err == nil) != normal {
			t.Errorf("normal is %t: %s", err == nil, line)
		}
	}
}

// TestConfigurationStays: with another text dpkg would ask at the next upgrade which
// configuration to keep, or stop where no terminal answers.
func TestConfigurationStays(t *testing.T) {
	const everyRelease = "7808c59f3ead7a5666fea271504090b015803e2692a892450eb180c8880b287c"
	if sum := sha256.Sum256(read(t, filepath.Join(rig.Root(t), "packaging/config.toml"))); hex.EncodeToString(sum[:]) != everyRelease {
		t.Errorf("packaging/config.toml differs from that of earlier releases: %x", sum)
	}
}

// TestInstall: make install puts there what the packages have, for those who have another
// system, and keeps a configuration.
func TestInstall(t *testing.T) {
	there := t.TempDir()
	run(t, "make", "--silent", "-C", rig.Root(t), "install", "DESTDIR="+there, "PREFIX=/usr")
	for _, file := range []string{
		"usr/bin/smimerelay", "usr/share/man/man1/smimerelay.1", "usr/share/man/man5/smimerelay.toml.5", "usr/lib/sysusers.d/smimerelay.conf",
		"usr/lib/tmpfiles.d/smimerelay.conf", "usr/lib/systemd/system/smimerelay.service", "usr/share/bash-completion/completions/smimerelay",
		"usr/share/zsh/site-functions/_smimerelay", "usr/share/fish/vendor_completions.d/smimerelay.fish", "etc/apparmor.d/smimerelay",
	} {
		if len(read(t, filepath.Join(there, file))) == 0 {
			t.Errorf("%s is empty", file)
		}
	}
	config := filepath.Join(there, "etc/smimerelay/config.toml")
	if err := os.WriteFile(config, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "make", "--silent", "-C", rig.Root(t), "install", "DESTDIR="+there, "PREFIX=/usr")
	if text := string(read(t, config)); text != "mine\n" {
		t.Errorf("the configuration was written over: %.100q", text)
	}
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
	file := build(t, rig.Root(t), "deb", "smimerelay-pkcs11")
	if out, err := exec.Command(rig.Tool(t, "lintian", "lintian"), "--allow-root", "--fail-on", "error,warning", file).CombinedOutput(); err != nil {
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

// elsewhere is a copy of the project, which only its owner can read, as in a clone of a user
// with another umask. Its .git is what that of the project is, a folder or the file of a worktree:
// go build writes the commit into the program where it is a folder.
func elsewhere(t *testing.T) string {
	t.Helper()
	there := t.TempDir()
	run(t, "sh", "-c", `cd "$1" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$2" && chmod -R go= "$2" &&
		if [ -f .git ]; then cp .git "$2"; else ln -s "$PWD/.git" "$2"; fi`, "sh", rig.Root(t), there)
	return there
}

// build makes a package of the project in root.
func build(t *testing.T, root, format, name string) string {
	t.Helper()
	dir := t.TempDir()
	pack(t, root, dir, "build", format, name)
	return only(t, filepath.Join(dir, "*."+format))
}

// pack runs a program of packaging, with DIST. It may not depend on the umask.
func pack(t *testing.T, root, dist, program string, args ...string) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `umask "$0"; exec "$@"`, "022", filepath.Join(root, "packaging", program)}, args...)...)
	if root != rig.Root(t) {
		cmd.Args[3] = "077"
	}
	cmd.Env = append(os.Environ(), "DIST="+dist, "GIT_OPTIONAL_LOCKS=0") // the index is that of the project
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// only is the one file of a pattern.
func only(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
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
