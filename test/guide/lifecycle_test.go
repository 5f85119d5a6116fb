//go:build guide

package guide

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	state   = "/var/lib/smimerelay"
	waiting = 5 // messages in the queue while the package is upgraded
)

// TestLifecycle installs the package, upgrades it while mail waits in the queue, removes it,
// installs it again, and purges it: nothing starts that did not run before, and what the
// gateway keeps is lost only where the administrator says so.
func TestLifecycle(t *testing.T) {
	m := newMachine(t)
	m.run("mkdir -p /run/systemd/system") // as where systemd runs
	for _, c := range commands(t, "install") {
		m.run(c)
	}
	m.isNotStarted()
	if mode := m.run("stat -c '%a %U %G' /etc/smimerelay/config.toml"); mode != "640 root smimerelay\n" {
		t.Errorf("the configuration has %s", mode)
	}
	m.serveWithQueue()
	m.upgrade()
	m.refuseUpgrade()
	m.remove()
	m.purge()
}

// called returns how systemctl was called since it was asked last.
func (m *machine) called() string {
	return m.run("cat /var/log/systemctl.log; : >/var/log/systemctl.log")
}

func (m *machine) isNotStarted() {
	m.Helper()
	if calls := m.called(); strings.Contains(calls, "start") || strings.Contains(calls, "enable --now") {
		m.Errorf("the package starts a gateway that did not run:\n%s", calls)
	}
	m.fails("systemctl --quiet is-active smimerelay.service")
}

// fails types a command whose status is not 0.
func (m *machine) fails(command string) {
	m.Helper()
	if m.run(command+" && echo done || true") != "" {
		m.Errorf("%s: status 0", command)
	}
}

// serveWithQueue starts a gateway whose next hop is not there yet.
func (m *machine) serveWithQueue() {
	m.Helper()
	for _, c := range commands(m.T, "relay") {
		if strings.HasPrefix(c, "smimerelay init") || strings.HasPrefix(c, "systemctl ") || strings.HasPrefix(c, "smimerelay cert issue") {
			m.run(c)
		}
	}
	for i := range waiting {
		m.put("/root/mail.eml", fmt.Sprintf("From: alice@example.com\r\nTo: bob@example.net\r\nSubject: waiting-%d\r\n\r\nHello Bob.\r\n", i), 0o644)
		m.run("curl --silent --show-error --mail-from alice@example.com --mail-rcpt bob@example.net --upload-file mail.eml smtp://127.0.0.1:2525")
	}
	m.queued(waiting)
}

func (m *machine) queued(n int) {
	m.Helper()
	if list := m.run("smimerelay queue list"); strings.Count(list, "bob@example.net") != n {
		m.Errorf("the queue does not have %d messages:\n%s", n, list)
	}
}

// gateway is the number of the gateway's process.
func (m *machine) gateway() string { return m.run("cat /run/smimerelay.pid") }

// upgrade installs a newer version. Then the next hop is there, and what waited arrives.
func (m *machine) upgrade() {
	m.Helper()
	before, config := m.gateway(), m.run("cat /etc/smimerelay/config.toml")
	m.install("90.0.0")
	if m.gateway() == before {
		m.Error("the gateway was not restarted")
	}
	if m.run("cat /etc/smimerelay/config.toml") != config {
		m.Error("the configuration is another one")
	}
	m.queued(waiting)
	m.startSink()
	m.run("smimerelay queue retry --all")
	for i := range waiting {
		m.arrives(fmt.Sprint("waiting-", i), false)
	}
	if n := len(m.sink.All()); n != waiting {
		m.Errorf("%d messages arrived", n)
	}
}

// install installs a version that is built for it.
func (m *machine) install(version string) string {
	m.Helper()
	m.build("VERSION=" + version)
	return m.run("dpkg --install smimerelay_" + version + "_*.deb 2>&1") // apt-get would have the network of the host, and with it the gateway
}

// refuseUpgrade: where a version does not accept the configuration, the gateway keeps running.
func (m *machine) refuseUpgrade() {
	m.Helper()
	before, good := m.gateway(), m.run("cat /etc/smimerelay/config.toml")
	m.put("/etc/smimerelay/config.toml", "renamed = true\n"+good, 0o640)
	if out := m.install("91.0.0"); !strings.Contains(out, "refuses the configuration") || m.gateway() != before {
		m.Errorf("the gateway was restarted with a configuration that is not good:\n%s", out)
	}
	m.run("kill -0 " + before)
	m.put("/etc/smimerelay/config.toml", good, 0o640)
}

// remove removes the package and installs it again: the gateway is stopped, and does not start
// by itself.
func (m *machine) remove() {
	m.Helper()
	before, config := m.run("ls -l "+state), m.run("cat /etc/smimerelay/config.toml")
	m.called()
	m.run("apt-get remove --yes smimerelay")
	if calls := m.called(); !strings.Contains(calls, "disable --now smimerelay.service") {
		m.Errorf("the gateway was not stopped:\n%s", calls)
	}
	for _, name := range []string{"store.db", "store.key", "queue.db"} {
		if !strings.Contains(before, name) {
			m.Errorf("there was no %s:\n%s", name, before)
		}
		m.run("test -s " + state + "/" + name)
	}
	m.install("92.0.0")
	m.isNotStarted()
	if m.run("cat /etc/smimerelay/config.toml") != config {
		m.Error("the configuration is another one")
	}
	m.run("smimerelay check")
}

// purge keeps keys and mail by default, and deletes them where that was the answer.
func (m *machine) purge() {
	m.Helper()
	if out := m.run("apt-get purge --yes smimerelay 2>&1"); !strings.Contains(out, state+" with its keys and mail was kept") {
		m.Errorf("purge does not say that the keys are kept:\n%s", out)
	}
	m.run("test -s " + state + "/store.key")
	m.fails("test -e /etc/smimerelay")
	m.forgotten()
	m.install("93.0.0")
	m.isNotStarted()
	m.run("echo smimerelay smimerelay/purge-state boolean true | debconf-set-selections")
	m.run("apt-get purge --yes smimerelay")
	m.fails("test -e " + state)
	m.forgotten()
	m.install("94.0.0")
	m.run("rm -rf " + state)
	m.run("apt-get purge --yes smimerelay")
	m.forgotten()
}

// forgotten: debconf has no question of the package any more.
func (m *machine) forgotten() {
	m.Helper()
	data, err := os.ReadFile(filepath.Join(m.root, "var/cache/debconf/config.dat"))
	if err != nil {
		m.Fatal(err)
	}
	if bytes.Contains(data, []byte("smimerelay/")) {
		m.Error("debconf still has the question of a package that was purged")
	}
}
