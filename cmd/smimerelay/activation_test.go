package main

import (
	"bufio"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// TestSocketActivation hands the real program a listening socket as systemd
// does (sd_listen_fds(3)): as file descriptor 3, with its name and the process's
// own number in the environment.
func TestSocketActivation(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	text := configtest.Elsewhere(`
hostname = "gw.example.org"
[[listener]]
name = "lmtp"
protocol = "lmtp"
address = "systemd:mail"
direction = "inbound"
[trust]
revocation = "off"
fetch = false
`, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	// Only the program listens from here on.
	address := l.Addr().String()
	l.Close()

	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec smimerelay serve --config "$1"`, "sh", config)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=mail")
	cmd.ExtraFiles = []*os.File{f}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // a test that hangs
	defer timer.Stop()
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "msg=serving") {
			greeted(t, address)
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve: %v\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "msg=serving") {
		t.Errorf("it did not serve:\n%s", &log)
	}
}

func greeted(t *testing.T, address string) {
	t.Helper()
	c, err := smtp.Dial(address)
	if err != nil {
		t.Errorf("no greeting on the socket handed over: %v", err)
		return
	}
	c.Close()
}
