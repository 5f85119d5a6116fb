package rig

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Build compiles the binary that is tested into dir, and returns its path.
func Build(dir string) (string, error) {
	program := filepath.Join(dir, "smimerelay")
	cmd := exec.Command("go", "build", "-o", program, "github.com/smimerelay/smimerelay/cmd/smimerelay")
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}

// Gateway is a running `smimerelay serve`.
type Gateway struct {
	cmd *exec.Cmd
	log *logBuffer
	// gone is closed when the process has ended.
	gone chan struct{}
}

// StartGateway writes config to a file, runs `program serve` with it, and waits
// until each port accepts connections. SIGTERM ends it with the test, and it
// must end well.
func StartGateway(tb testing.TB, program, config string, ports ...int) *Gateway {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "config.toml")
	write(tb, path, []byte(config))
	g := &Gateway{
		cmd:  exec.Command(program, "serve", "--config", path),
		log:  &logBuffer{},
		gone: make(chan struct{}),
	}
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(g.gone)
		g.cmd.Wait()
	}()
	tb.Cleanup(func() { g.stop(tb) })
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	for _, port := range ports {
		if err := awaitPort(ctx, "127.0.0.1:"+strconv.Itoa(port), g.gone); err != nil {
			tb.Fatalf("smimerelay: %v\n%s", err, g.Log())
		}
	}
	return g
}

// Log returns what the process has printed so far.
func (g *Gateway) Log() string { return g.log.String() }

// Signal sends the process a signal.
func (g *Gateway) Signal(tb testing.TB, s os.Signal) {
	tb.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		tb.Fatal(err)
	}
}

func (g *Gateway) stop(tb testing.TB) {
	select {
	case <-g.gone:
		tb.Errorf("smimerelay ended before the test: %v\n%s", g.cmd.ProcessState, g.Log())
	default:
		g.Signal(tb, syscall.SIGTERM)
		<-g.gone
		if code := g.cmd.ProcessState.ExitCode(); code != 0 {
			tb.Errorf("smimerelay: exit status %d after SIGTERM", code)
		}
	}
	if log := g.Log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		tb.Errorf("smimerelay: a panic or a data race\n%s", log)
	}
	if tb.Failed() {
		tb.Logf("smimerelay printed\n%s", g.Log())
	}
}

// logBuffer is a buffer that one goroutine fills while others read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
