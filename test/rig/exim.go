package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Exim is a private instance of Exim with a spool, a log and ports of its own.
type Exim struct {
	dir string
}

// baseExim keeps the instance away from the host. It has no right of root once it has
// started, looks up no names, and delivers while it receives.
const baseExim = `exim_path = PROGRAM
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
spool_directory = DIR/spool
log_file_path = DIR/log/%s
pid_file_path = DIR/exim.pid
deliver_drop_privilege = true
smtp_accept_queue_per_connection = 0
local_interfaces = 127.0.0.1
host_lookup =
dns_ipv4_lookup = *
dsn_advertise_hosts = *
log_selector = +received_recipients +tls_cipher +tls_certificate_verified +smtp_confirmation
acl_smtp_data = accept
`

// eximUser is whose rights Exim has as its own user. The host has no user of that name: by
// nss_wrapper the instance has lists of users and groups of its own.
const (
	eximUser  = 65534
	eximUsers = "root:x:0:0:root:/root:/bin/sh\nDebian-exim:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
	eximGroup = "root:x:0:\nDebian-exim:x:65534:\n"
)

// StartExim starts a private Exim on ports, which ends with the test. config is what
// its file has beside baseExim: options, then the sections from the ACLs on; DIR in it is the
// folder of the instance, with a folder DIR/mail that it may write to. It needs root,
// since Exim changes to its own user, and the program that test/scripts/exim unpacks.
func StartExim(tb testing.TB, config string, ports ...int) *Exim {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Fatal("a private Exim needs root: run the tests as root (make test)")
	}
	root := filepath.Join(Root(tb), ".cache", "exim")
	program := filepath.Join(root, "usr/sbin/exim4")
	if _, err := os.Stat(program); err != nil {
		tb.Fatalf("Exim is missing: run test/scripts/exim, or make test: %v", err)
	}
	dir := openFolder(tb)
	e := &Exim{dir: dir}
	for _, name := range []string{"spool", "log", "mail"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Chown(path, eximUser, eximUser); err != nil {
			tb.Fatal(err)
		}
	}
	var listen []string
	for _, p := range ports {
		listen = append(listen, strconv.Itoa(p))
	}
	text := baseExim + "daemon_smtp_ports = " + strings.Join(listen, " : ") + "\n" + config
	write(tb, filepath.Join(dir, "exim.conf"), []byte(strings.NewReplacer("DIR", dir, "PROGRAM", program).Replace(text)))
	write(tb, filepath.Join(dir, "passwd"), []byte(eximUsers))
	write(tb, filepath.Join(dir, "group"), []byte(eximGroup))

	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil || len(libraries) != 1 {
		tb.Fatalf("libraries of Exim: %q, %v", libraries, err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-C", filepath.Join(dir, "exim.conf"), "-bdf", "-q1h")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LD_LIBRARY_PATH=" + libraries[0], "LD_PRELOAD=" + filepath.Join(libraries[0], "libnss_wrapper.so"),
		"NSS_WRAPPER_PASSWD=" + filepath.Join(dir, "passwd"), "NSS_WRAPPER_GROUP=" + filepath.Join(dir, "group"),
	}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); cmd.Wait() }()
	tb.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		<-gone
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if tb.Failed() {
			tb.Logf("Exim printed\n%s\nand logged\n%s", out.String(), e.Log(tb))
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	for _, port := range ports {
		if err := awaitPort(ctx, fmt.Sprintf("127.0.0.1:%d", port), gone); err != nil {
			tb.Fatalf("exim: %v\n%s", err, out.String())
		}
	}
	return e
}

// Log returns the main log so far.
func (e *Exim) Log(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "log", "main"))
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	return string(text)
}

// WaitLog waits until the log has text.
func (e *Exim) WaitLog(tb testing.TB, text string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(e.Log(tb), text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("Exim's log has no %q:\n%s", text, e.Log(tb))
		}
	}
}

// Mail returns the messages that are in the Maildir DIR/mail.
func (e *Exim) Mail(tb testing.TB) (all [][]byte) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, "mail", "new", "*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}
