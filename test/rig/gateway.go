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
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// Build compiles the binary that is tested into dir, static as it is shipped, and
// returns its path.
func Build(dir string) (string, error) { return build(dir, "smimerelay", "CGO_ENABLED=0") }

// BuildHelper compiles the helper for tokens into dir, where the binary finds it.
func BuildHelper(dir string) error {
	_, err := build(dir, "smimerelay-token", "CGO_ENABLED=1")
	return err
}

func build(dir, name, setting string) (string, error) {
	program := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", program, "github.com/smimerelay/smimerelay/cmd/"+name)
	cmd.Env = append(os.Environ(), setting)
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}

// Gateway is `smimerelay serve` with a configuration file of its own.
type Gateway struct {
	program, config string
	ports           []int
	log             *logBuffer

	cmd *exec.Cmd
	// gone is closed when the process has ended.
	gone chan struct{}
}

// StartGateway writes config to a file, runs `program serve` with it, and waits
// until each port accepts connections. SIGTERM ends it with the test, and it
// must end well.
func StartGateway(tb testing.TB, program, config string, ports ...int) *Gateway {
	tb.Helper()
	g := &Gateway{
		program: program, config: filepath.Join(tb.TempDir(), "config.toml"),
		ports: ports, log: &logBuffer{},
	}
	g.Configure(tb, config)
	g.Start(tb)
	tb.Cleanup(func() { g.stop(tb) })
	return g
}

// Configure writes the configuration file again. It takes effect with the next
// start or SIGHUP.
func (g *Gateway) Configure(tb testing.TB, config string) {
	tb.Helper()
	text := configtest.Elsewhere(config, filepath.Dir(g.config))
	write(tb, g.config, []byte(text))
	keepOff(tb, g.config)
}

// keepOff ends the test if the program, which does not know that it is tested,
// would open what belongs to a gateway that is installed on the machine.
func keepOff(tb testing.TB, file string) {
	tb.Helper()
	c, problems := config.Load(file)
	if c == nil {
		tb.Fatal(problems)
	}
	places := []string{c.Store.URL, c.Store.KeyFile, c.Queue.Path, c.NextHop.Address, c.NextHop.Local, c.Admin.Address}
	for _, l := range c.Listeners {
		places = append(places, l.Address, l.NextHop)
	}
	for _, place := range places {
		config.Place(place)
	}
}

// Start starts the process after Kill.
func (g *Gateway) Start(tb testing.TB) {
	tb.Helper()
	g.cmd, g.gone = exec.Command(g.program, "serve", "--config", g.config), make(chan struct{})
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func(cmd *exec.Cmd, gone chan struct{}) {
		defer close(gone)
		cmd.Wait()
	}(g.cmd, g.gone)
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	for _, port := range g.ports {
		if err := awaitPort(ctx, "127.0.0.1:"+strconv.Itoa(port), g.gone); err != nil {
			tb.Fatalf("smimerelay: %v\n%s", err, g.Log())
		}
	}
}

// Kill ends the process as a power failure would: at once.
func (g *Gateway) Kill(tb testing.TB) {
	tb.Helper()
	g.Signal(tb, syscall.SIGKILL)
	<-g.gone
}

// PID returns the number of the process.
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Await waits until the process has ended, after a signal.
func (g *Gateway) Await() { <-g.gone }

// ProcessorTime returns what the process, which has ended, took of the processors.
func (g *Gateway) ProcessorTime() time.Duration {
	return g.cmd.ProcessState.UserTime() + g.cmd.ProcessState.SystemTime()
}

// Log returns what the process has printed so far.
func (g *Gateway) Log() string { return g.log.String() }

// WaitLog waits until the process has printed text n times.
func (g *Gateway) WaitLog(tb testing.TB, text string, n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(g.Log(), text) < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("smimerelay did not print %q %d times:\n%s", text, n, g.Log())
		}
	}
}

// Signal sends the process a signal.
func (g *Gateway) Signal(tb testing.TB, s os.Signal) {
	tb.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		tb.Fatal(err)
	}
}

// Run runs another verb of the program on the same configuration, wants it to do
// the given arguments, and returns what it printed.
func (g *Gateway) Run(tb testing.TB, verb ...string) string {
	tb.Helper()
	return g.RunFails(tb, 0, verb...)
}

// RunFails is Run for a verb that is to end with an exit status.
func (g *Gateway) RunFails(tb testing.TB, status int, verb ...string) string {
	tb.Helper()
	cmd := exec.Command(g.program, append(verb, "--config", g.config)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		tb.Fatalf("%s: %v instead of exit status %d\n%s", cmd, err, status, out)
	}
	return string(out)
}

// AwaitOutput runs a verb until it prints a text.
func (g *Gateway) AwaitOutput(tb testing.TB, text string, verb ...string) {
	tb.Helper()
	var out []byte
	for until := time.Now().Add(Patience); time.Now().Before(until); {
		// It may fail until then.
		if out, _ = exec.Command(g.program, append(verb, "--config", g.config)...).CombinedOutput(); strings.Contains(string(out), text) {
			return
		}
	}
	tb.Fatalf("%s does not print %q:\n%s", verb, text, out)
}

func (g *Gateway) stop(tb testing.TB) {
	select {
	case <-g.gone:
		tb.Errorf("smimerelay ended before the test: %v\n%s", g.cmd.ProcessState, g.Log())
	default:
		g.Signal(tb, syscall.SIGTERM)
		late := time.AfterFunc(Patience, func() { g.cmd.Process.Kill() })
		<-g.gone
		late.Stop()
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
