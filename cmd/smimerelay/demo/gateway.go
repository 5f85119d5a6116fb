package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// startTime bounds how long the gateway may take until it listens.
const startTime = 20 * time.Second

// gateway is the child process.
type gateway struct {
	program string
	world   *world
	cmd     *exec.Cmd
	ended   chan struct{}
	once    sync.Once
	err     error // how it ended; read it after ended is closed
}

// importIdentity puts Alice's identity into the gateway's store, as an
// administrator does.
func importIdentity(ctx context.Context, program string, w *world) error {
	out, err := exec.CommandContext(ctx, program, "cert", "import", "--config", w.path("config.toml"), w.identityFile(alice)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import an identity: %w: %s", err, out)
	}
	return nil
}

// startGateway starts the gateway and waits until both listeners are open.
func startGateway(ctx context.Context, program string, w *world) (*gateway, error) {
	log, err := os.Create(w.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	g := &gateway{program: program, world: w, ended: make(chan struct{})}
	g.cmd = exec.CommandContext(ctx, program, "serve", "--config", w.path("config.toml"))
	g.cmd.Stdout, g.cmd.Stderr = log, log
	g.cmd.Cancel = func() error { return g.cmd.Process.Signal(syscall.SIGTERM) }
	g.cmd.WaitDelay = startTime
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.ended)
	}()
	for _, port := range []int{w.ports.outbound, w.ports.inbound} {
		if err := g.waitFor(ctx, port); err != nil {
			return nil, errors.Join(err, g.stop())
		}
	}
	return g, nil
}

// waitFor waits until something listens on a port.
func (g *gateway) waitFor(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return c.Close()
		}
		select {
		case <-g.ended:
			return fmt.Errorf("the gateway exited: %w; its log is %s", g.err, g.world.log())
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not listen on port %d; its log is %s", port, g.world.log())
		case <-tick.C:
		}
	}
}

// stop asks the gateway to drain and waits for its end. Further calls do
// nothing.
func (g *gateway) stop() (err error) {
	g.once.Do(func() {
		// It fails only when the process is gone already.
		_ = g.cmd.Process.Signal(syscall.SIGTERM)
		<-g.ended
		if g.err != nil {
			err = fmt.Errorf("the gateway exited with an error: %w; its log is %s", g.err, g.world.log())
		}
	})
	return err
}

// rules asks "smimerelay explain" which rule decides on each recipient.
func (g *gateway) rules(ctx context.Context, from string, to []string) map[string]string {
	args := []string{"explain", "--config", g.world.path("config.toml"), "--json", "--from", from}
	for _, r := range to {
		args = append(args, "--to", r)
	}
	var said struct {
		Recipients []struct{ Address, Rule string }
	}
	// Exit status 1 says that a recipient is refused: the answer is there all the same.
	out, _ := exec.CommandContext(ctx, g.program, args...).Output()
	rules := map[string]string{}
	if json.Unmarshal(out, &said) == nil {
		for _, r := range said.Recipients {
			rules[r.Address] = r.Rule
		}
	}
	return rules
}
