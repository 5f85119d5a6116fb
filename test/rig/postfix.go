package rig

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PostfixConfig is what differs from one private Postfix to the next.
type PostfixConfig struct {
	// Ports are the ports of its smtpd services, to wait for.
	Ports []int
	// Main are further lines of main.cf.
	Main string
	// Master are further services of master.cf, its smtpd above all.
	Master string
}

// Postfix is a private instance with a queue, a log and ports of its own.
type Postfix struct {
	conf, log string
}

// baseMain keeps the instance away from the host: its own folders, no DNS, no
// local users, and retries that come soon.
const baseMain = `compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/mail.log
maillog_file_prefixes = DIR
myhostname = mx.test
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
smtp_host_lookup = native
message_size_limit = 104857600
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_timeout = 60s
minimal_backoff_time = 300s
maximal_backoff_time = 300s
initial_destination_concurrency = 20
smtpd_peername_lookup = no
`

const baseMaster = `
postlog   unix-dgram n  -       n       -       1       postlogd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
lmtp      unix  -       -       n       -       -       lmtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
anvil     unix  -       -       n       -       1       anvil
flush     unix  n       -       n       1000?   0       flush
`

// StartPostfix starts a private Postfix that ends with the test. It needs
// root, because Postfix itself changes to its own user.
func StartPostfix(tb testing.TB, c PostfixConfig) *Postfix {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Fatal("a private Postfix needs root: run the tests as root (make test)")
	}
	master := Tool(tb, "master", "postfix")
	dir := openFolder(tb)
	p := &Postfix{conf: filepath.Join(dir, "conf"), log: filepath.Join(dir, "mail.log")}
	makeFolders(tb, dir)
	write(tb, filepath.Join(p.conf, "main.cf"),
		[]byte(without(strings.ReplaceAll(baseMain, "DIR", dir), c.Main)+c.Main))
	write(tb, filepath.Join(p.conf, "master.cf"), []byte(strings.TrimLeft(baseMaster, "\n")+c.Master))

	var out bytes.Buffer
	cmd := exec.Command(master, "-c", p.conf, "-d")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		cmd.Wait()
	}()
	tb.Cleanup(func() {
		// The whole group: master's children drop their privileges, and some
		// outlive it for as long as they are idle.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		<-gone
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	for _, port := range c.Ports {
		if err := awaitPort(ctx, "127.0.0.1:"+strconv.Itoa(port), gone); err != nil {
			tb.Fatalf("postfix: %v\n%s%s", err, out.String(), p.Log(tb))
		}
	}
	return p
}

// without returns the lines of main.cf that others do not replace. Postfix warns of
// an entry that comes twice, and postlogd, which reads main.cf too, waits for itself
// when many processes begin with warnings.
func without(base, others string) string {
	set := make(map[string]bool)
	for line := range strings.Lines(others) {
		name, _, _ := strings.Cut(line, "=")
		set[strings.TrimSpace(name)] = true
	}
	var kept strings.Builder
	for line := range strings.Lines(base) {
		if name, _, _ := strings.Cut(line, "="); !set[strings.TrimSpace(name)] {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// openFolder returns a temporary folder that other users can reach: the one
// that testing makes lies in one that only its owner may enter.
func openFolder(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Forward writes what a user's .forward holds and returns the forward_path for
// main.cf.
func Forward(tb testing.TB, user, text string) string {
	tb.Helper()
	dir := openFolder(tb)
	write(tb, filepath.Join(dir, "forward-"+user), []byte(text+"\n"))
	return filepath.Join(dir, "forward-$user")
}

// makeFolders lays out what `postfix check` would make, with its owners.
func makeFolders(tb testing.TB, dir string) {
	tb.Helper()
	owner, err := user.Lookup("postfix")
	if err != nil {
		tb.Fatalf("the user of Postfix is missing: apt-get install postfix: %v", err)
	}
	group, err := user.LookupGroup("postdrop")
	if err != nil {
		tb.Fatalf("the group of Postfix is missing: apt-get install postfix: %v", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(group.Gid)
	make := func(name string, mode os.FileMode, uid, gid int) {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, mode); err != nil {
			tb.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			tb.Fatal(err)
		}
	}
	make("conf", 0o755, 0, 0)
	make("data", 0o700, uid, 0)
	make("queue", 0o755, 0, 0)
	make("queue/pid", 0o755, 0, 0)
	make("queue/public", 0o710, uid, gid)
	make("queue/maildrop", 0o730, uid, gid)
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		make("queue/"+name, 0o700, uid, 0)
	}
}

// Log returns the log so far.
func (p *Postfix) Log(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	return string(text)
}

// WaitLog waits for a log line that matches and returns its submatches.
func (p *Postfix) WaitLog(tb testing.TB, pattern string) []string {
	tb.Helper()
	re := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text := p.Log(tb)
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("the Postfix log has no line like %q; it ends\n%s", pattern, text[max(0, len(text)-6000):])
		}
	}
}

// Sendmail hands a message in as programs of the host do.
func (p *Postfix) Sendmail(tb testing.TB, from string, to []string, message []byte) {
	tb.Helper()
	args := append([]string{"-C", p.conf, "-i", "-f", from, "--"}, to...)
	cmd := exec.Command(Tool(tb, "sendmail", "postfix"), args...)
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")))
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("sendmail: %v\n%s", err, out)
	}
}

// Queued returns what `postqueue -j` prints: one JSON object for each message
// that is still in the queue.
func (p *Postfix) Queued(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command(Tool(tb, "postqueue", "postfix"), "-c", p.conf, "-j").Output()
	if err != nil {
		tb.Fatalf("postqueue: %v", err)
	}
	return string(out)
}
