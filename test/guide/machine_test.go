//go:build guide

package guide

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// machine is a Debian in a folder. Its processes have a network of their own, which only
// has the loopback interface, and end with the test.
type machine struct {
	*testing.T
	root    string
	keys    string // folder with Bob's key
	process int    // whose namespaces are the machine's
	sink    *rig.Sink
}

// newMachine makes a machine with the package beside it, and what the guide takes for
// granted: a certificate of Bob, and one for backups. It is in memory: dpkg waits for the disk
// at each file.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t, root: memory(t), keys: t.TempDir()}
	m.host("tar", "-C", m.root, "-xpf", base(t))
	m.startNamespaces()
	m.put("/usr/bin/systemctl", systemctl, 0o755)                  // apt gives the scripts of packages no other PATH
	m.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755) // nothing starts by itself
	m.build()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Partner CA"}))
	bob := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@example.net"}, Key: "rsa2048"}))
	m.put("/root/bob.pem", string(bob.CertificatePEM()), 0o644)
	m.put("/root/backup-cert.pem", string(bob.CertificatePEM()), 0o644)
	if err := os.WriteFile(filepath.Join(m.keys, "bob.pem"), testpki.Must(bob.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// build puts the package into the home of root. settings are variables of its environment.
func (m *machine) build(settings ...string) {
	m.Helper()
	cmd := exec.Command(filepath.Join(rig.Root(m), "packaging/build"), "deb")
	cmd.Env = append(append(os.Environ(), "DIST="+filepath.Join(m.root, "root")), settings...)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.Fatalf("%v: %s", err, out)
	}
}

// memory returns a folder in memory that ends with the test. Unlike in /dev/shm of many systems,
// programs in it may be setgid, as postdrop is.
func memory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("smimerelay-guide", dir, "tmpfs", 0, "size=4g,mode=755"); err != nil {
		t.Fatalf("mount: %v: run the test as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// base is an archive of a fresh Debian, which is made once.
func base(t *testing.T) string {
	t.Helper()
	cache := filepath.Join(rig.Root(t), ".cache/guide")
	done := filepath.Join(cache, "bookworm.tar")
	if _, err := os.Stat(done); err == nil {
		return done
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	// The package of debootstrap is a script: it need not be installed.
	script := `cd "$1" && apt-get download debootstrap && dpkg-deb -x debootstrap_*.deb tool &&
		DEBOOTSTRAP_DIR="$1/tool/usr/share/debootstrap" tool/usr/sbin/debootstrap --variant=minbase --include=ca-certificates bookworm "$2" http://deb.debian.org/debian &&
		chroot "$2" apt-get install --yes --no-install-recommends systemd curl openssl && chroot "$2" apt-get clean &&
		tar -C "$2" --one-file-system -cf unfinished.tar . && mv unfinished.tar "$3"`
	if out, err := exec.Command("sh", "-c", script, "sh", cache, memory(t), done).CombinedOutput(); err != nil {
		t.Fatalf("a fresh Debian cannot be made: %v: %s", err, out)
	}
	return done
}

// systemctl stands in for systemd, which does not run in a folder: it runs what the unit
// says, as its user, and waits until the gateway serves. What it was called with is in
// /var/log/systemctl.log.
const systemctl = `#!/bin/sh
echo "$*" >>/var/log/systemctl.log
unit=/lib/systemd/system/smimerelay.service
log=/var/log/smimerelay.log
pid=/run/smimerelay.pid
says() { sed -n "s/^$1=//p" $unit; }
as="setpriv --reuid smimerelay --regid smimerelay --clear-groups"
running() { [ -e $pid ] && grep -qs '^State:.[^Z]' /proc/$(cat $pid)/status; } # init waits for no process here
start() {
	: >$log
	$as $(says ExecStartPre) || exit
	$as $(says ExecStart) >$log 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- & # debconf waits for its own
	echo $! >$pid
	while running && ! grep -q serving $log; do sleep 0.2; done
	grep -q serving $log || { cat $log; exit 1; }
}
stop() {
	! running || kill $(cat $pid)
	while running; do sleep 0.2; done
}
case "$*" in
"enable --now smimerelay") start ;;
"--quiet is-active smimerelay.service") running ;;
"reload smimerelay.service") $as $(says ExecReload | head -n 1) && kill -HUP $(cat $pid) ;;
"restart smimerelay.service") stop; start ;;
"disable --now smimerelay.service "*) stop ;;
esac
`

func (m *machine) startNamespaces() {
	m.Helper()
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c",
		`ip link set lo up && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && echo ready && exec sleep infinity`, "sh", m.root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.Fatal(err)
	}
	var problem bytes.Buffer
	cmd.Stderr = &problem
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it all that runs in the machine
		_ = cmd.Wait()
	})
	ready := make([]byte, 6)
	if _, err := out.Read(ready); err != nil {
		m.Fatalf("%v: %s", err, problem.String())
	}
	m.process = cmd.Process.Pid
}

// startSink starts the server that mail is relayed to, in the network of the machine. A socket
// stays in the network of the thread that made it.
func (m *machine) startSink() {
	m.Helper()
	runtime.LockOSThread() // and never unlocked where it cannot go back
	ours, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		m.Fatal(err)
	}
	defer ours.Close()
	theirs, err := os.Open(m.namespace("net"))
	if err != nil {
		m.Fatal(err)
	}
	defer theirs.Close()
	if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
		m.Fatal(err)
	}
	m.sink = rig.StartSinkAt(m, "127.0.0.1:2600")
	if err := unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET); err != nil {
		m.Fatal(err)
	}
	runtime.UnlockOSThread()
}

func (m *machine) namespace(kind string) string {
	return "/proc/" + strconv.Itoa(m.process) + "/ns/" + kind
}

func (m *machine) put(path, text string, mode os.FileMode) {
	m.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) host(name string, args ...string) {
	m.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		m.Fatalf("%s: %v: %s", name, err, out)
	}
}

// run types a command on the machine, as root in its home. What fetches packages has the
// network of the host. doctor may warn: there is no DNS.
func (m *machine) run(command string) string {
	m.Helper()
	args := []string{"--mount=" + m.namespace("mnt"), "--pid=" + m.namespace("pid_for_children")}
	if !strings.HasPrefix(command, "apt-get ") {
		args = append(args, "--net="+m.namespace("net"))
	}
	args = append(args, "chroot", m.root, "/usr/bin/env", "-i", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", "cd; "+command)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	m.Logf("# %s\n%s", command, out)
	if command == "smimerelay doctor" {
		m.findings(string(out))
	} else if err != nil {
		m.Fatalf("%s: %v", command, err)
	}
	if strings.HasPrefix(command, "smimerelay cert allow") {
		m.awaitTrust()
	}
	return string(out)
}

// awaitTrust waits until the gateway applies an override, which takes it up to two seconds:
// a person types no faster.
func (m *machine) awaitTrust() {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), rig.Patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		log, err := os.ReadFile(filepath.Join(m.root, "var/log/smimerelay.log"))
		if err != nil {
			m.Fatal(err)
		}
		if bytes.Contains(log, []byte("certificate store changed; changes applied")) {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	m.Fatal("the override is not applied")
}

// findings wants no error of doctor but those of a machine without a network.
func (m *machine) findings(out string) {
	m.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "error") && !strings.Contains(line, "DNS") && !strings.Contains(line, "clock") {
			m.Errorf("doctor: %s", line)
		}
	}
}

// installPostfix gives the machine a Postfix that relays to the sink.
func (m *machine) installPostfix() {
	m.Helper()
	m.put("/etc/hosts", "127.0.0.1 mail.example.com localhost\n", 0o644)
	m.run("apt-get install --yes --no-install-recommends postfix")
	m.run(`postconf -e myhostname=mail.example.com mydestination=example.com,localhost inet_protocols=ipv4 'relayhost=[127.0.0.1]:2600' ` +
		`maillog_file=/var/log/postfix.log alias_maps= alias_database=`)
	m.run("/usr/lib/postfix/configure-instance.sh -; postfix start")
}

// arrives waits for the message with this subject, decrypts it with Bob's key, and
// verifies its signature, with OpenSSL.
func (m *machine) arrives(subject string, encrypted bool) {
	m.Helper()
	got := m.sink.Wait(m, "the message "+subject, func(d rig.Delivery) bool {
		return bytes.Contains(d.Data, []byte("\nSubject: "+subject+"\r\n"))
	})
	file := filepath.Join(m.keys, subject+".eml")
	if err := os.WriteFile(file, got.Data, 0o600); err != nil {
		m.Fatal(err)
	}
	root := filepath.Join(m.keys, "root.pem")
	if err := os.WriteFile(root, []byte(m.run("smimerelay ca export 2>/dev/null")), 0o600); err != nil {
		m.Fatal(err)
	}
	verify := fmt.Sprintf("openssl cms -verify -CAfile %s -purpose any -in %s", root, file)
	if encrypted {
		if bytes.Contains(got.Data, []byte("Hello")) {
			m.Errorf("it is in plaintext:\n%s", got.Data)
		}
		verify = fmt.Sprintf("openssl cms -decrypt -recip %s/bob.pem -in %s | openssl cms -verify -CAfile %s -purpose any", m.keys, file, root)
	}
	out, err := exec.Command("sh", "-c", verify).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("Hello Bob.")) {
		m.Errorf("%s: %v: %s\n%s", subject, err, out, got.Data)
	}
}
