// Package rig starts the real things that whole-system tests need: a private
// Postfix, a capturing SMTP sink and the smimerelay binary, each on free
// loopback ports, each ended with the test that started it.
package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Patience is how long the rig waits for anything: long enough for a machine
// that is busy with other tests, since it is only ever spent by a failure.
const Patience = 60 * time.Second

// Tool returns the path of a program, or fails with the Debian package that
// has it.
func Tool(tb testing.TB, name, debian string) string {
	tb.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/", "/usr/lib/postfix/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	tb.Fatalf("program %q is missing: apt-get install %s, or run make test as root", name, debian)
	return ""
}

// awaitPort waits until something accepts connections on addr, or until gone
// says that the process behind it has ended.
func awaitPort(ctx context.Context, addr string, gone <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-gone:
			return fmt.Errorf("%s: the process ended before it listened", addr)
		case <-ctx.Done():
			return fmt.Errorf("%s: no server listens: %w", addr, err)
		case <-tick.C:
		}
	}
}

// write stores content in a file that everybody may read, as Postfix's own user
// must.
func write(tb testing.TB, path string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		tb.Fatal(err)
	}
}
