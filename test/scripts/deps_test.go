package scripts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// apt stands in for apt-get: it installs two servers that are enabled, one known to
// systemd and to the runlevels, one to the runlevels only; and it writes down whether
// a server may start meanwhile.
const apt = `
case "$1" in install) ;; *) exit 0 ;; esac
"$ROOT/usr/sbin/policy-rc.d" named start; echo "policy: $?"
mkdir -p "$ROOT/etc/systemd/system/multi-user.target.wants"
ln -s /lib/systemd/system/named.service "$ROOT/etc/systemd/system/multi-user.target.wants/named.service"
ln -s /lib/systemd/system/named.service "$ROOT/etc/systemd/system/bind9.service"
ln -s /lib/systemd/system/getty@.service "$ROOT/etc/systemd/system/getty@tty1.service"
for level in 2 3 4 5; do
	ln -s ../init.d/named "$ROOT/etc/rc$level.d/S01named"
	ln -s ../init.d/slapd "$ROOT/etc/rc$level.d/S02slapd"
done
exit "${APT_EXIT:-0}"
`

// host makes the root of a host on which cron is enabled, and a policy is in force
// when there is one.
func host(t *testing.T, policy string) string {
	t.Helper()
	root := t.TempDir()
	folders := []string{"usr/sbin", "etc/rc2.d", "etc/rc3.d", "etc/rc4.d", "etc/rc5.d", "etc/systemd/system/multi-user.target.wants"}
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"etc/rc2.d/S01cron", "etc/systemd/system/multi-user.target.wants/cron.service"} {
		if err := os.Symlink("/nowhere", filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if policy != "" {
		if err := os.WriteFile(filepath.Join(root, "usr/sbin/policy-rc.d"), []byte(policy), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func commands(uid string) map[string]string {
	return map[string]string{
		"apt-get":    apt,
		"id":         "echo " + uid,
		"dpkg-query": `case "$*" in *present*) echo install ok installed ;; *) exit 1 ;; esac`,
		"systemctl":  "exit 0",
	}
}

// files lists what is below root, without folders.
func files(t *testing.T, root string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDepsEnablesNoServer(t *testing.T) {
	for name, exit := range map[string]string{"installed": "0", "failed halfway": "1"} {
		t.Run(name, func(t *testing.T) {
			root := host(t, "")
			output, err := script(t, commands("0"), []string{"ROOT=" + root, "APT_EXIT=" + exit}, "deps", "present", "bind9", "slapd")
			if (err == nil) != (exit == "0") {
				t.Errorf("%v", err)
			}
			first, _, _ := strings.Cut(output, "\n")
			if !strings.HasSuffix(first, ": bind9 slapd") {
				t.Errorf("the first line does not name what is missing:\n%s", output)
			}
			if !strings.Contains(output, "policy: 101") {
				t.Errorf("a server may start:\n%s", output)
			}
			want := []string{
				"etc/rc2.d/K01named", "etc/rc2.d/K02slapd", "etc/rc2.d/S01cron",
				"etc/rc3.d/K01named", "etc/rc3.d/K02slapd", "etc/rc4.d/K01named", "etc/rc4.d/K02slapd",
				"etc/rc5.d/K01named", "etc/rc5.d/K02slapd",
				"etc/systemd/system/getty@tty1.service",
				"etc/systemd/system/multi-user.target.wants/cron.service",
			}
			if got := files(t, root); !slices.Equal(got, want) {
				t.Errorf("left:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// TestDepsKeepsThePolicy: a policy of the host is in force again afterwards, also when
// an earlier run was killed before it could put it back.
func TestDepsKeepsThePolicy(t *testing.T) {
	const policy = "#!/bin/sh\nexit 0\n"
	root := host(t, policy)
	file := filepath.Join(root, "usr/sbin/policy-rc.d")
	check := func(when string) {
		t.Helper()
		output, err := script(t, commands("0"), []string{"ROOT=" + root}, "deps", "slapd")
		if err != nil || !strings.Contains(output, "policy: 101") {
			t.Errorf("%s: %v:\n%s", when, err, output)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != policy {
			t.Errorf("%s: the policy is %q, %v", when, got, err)
		}
	}
	check("first")
	for _, level := range []string{"2", "3", "4", "5"} {
		for _, link := range []string{"K01named", "K02slapd"} {
			if err := os.Remove(filepath.Join(root, "etc/rc"+level+".d", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Remove(filepath.Join(root, "etc/systemd/system/getty@tty1.service")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, file+".before-tests"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\n# smimerelay\nexit 101\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	check("after a run that was killed")
}

func TestDepsNamesWhatIsMissing(t *testing.T) {
	output, err := script(t, commands("1000"), nil, "deps", "present", "slapd", "nodejs=bash")
	if err == nil || !strings.HasSuffix(strings.TrimSpace(output), "as root: apt-get install --no-install-recommends slapd") {
		t.Errorf("%v:\n%s", err, output)
	}
	if output, err := script(t, commands("1000"), nil, "deps", "present"); err != nil || output != "" {
		t.Errorf("nothing is missing: %v:\n%s", err, output)
	}
}
