package token

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/certs/token/internal/uri"
	"github.com/smimerelay/smimerelay/internal/printable"
)

// newLink makes the way to a token; the first request uses it.
func newLink(c Config) (*link, error) {
	l := &link{Config: c, places: make(chan struct{}, contract.MaxPending), pins: refusedPINs}
	if path, ok := strings.CutPrefix(c.Token, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return nil, errors.New("names no socket: write unix:/path")
		}
		l.name = path
		l.dial = func() (io.ReadWriteCloser, error) { return net.DialTimeout("unix", path, c.Timeout) }
		return l, nil
	}
	u, err := uri.Parse(c.Token)
	if err != nil {
		return nil, err
	}
	l.name, l.uri = u.Name(), c.Token
	if l.pin, err = u.PINFile(); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(c.Helper); err != nil {
		return nil, fmt.Errorf("the program for tokens cannot be run; install the package smimerelay-pkcs11, or name it in token_helper: %w", err)
	}
	l.dial = func() (io.ReadWriteCloser, error) { return startHelper(c.Helper, l.name, c.Log) }
	return l, nil
}

// helper is a helper that was started: its standard input and output.
type helper struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

const (
	// gone is how long a helper may take to end after its standard input was closed.
	gone = 2 * time.Second
	// maxLine limits a line that it writes into the log, and maxLines their number.
	maxLine  = 1024
	maxLines = 100
)

// startHelper runs the program. It has nothing in its arguments, and from the
// environment not what systemd gave to the gateway alone.
func startHelper(program, token string, log *slog.Logger) (io.ReadWriteCloser, error) {
	h := &helper{cmd: exec.Command(program)}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case name == "NOTIFY_SOCKET", strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "WATCHDOG_"):
		default:
			h.cmd.Env = append(h.cmd.Env, v)
		}
	}
	h.cmd.Stderr = &lines{token: token, log: log}
	h.cmd.WaitDelay = gone // for what a child of it holds open
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if h.out, err = h.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	log.Info("token helper started", "token", token, "pid", h.cmd.Process.Pid)
	return h, nil
}

func (h *helper) Read(b []byte) (int, error)  { return h.out.Read(b) }
func (h *helper) Write(b []byte) (int, error) { return h.in.Write(b) }

// Close has the program end, by closing its standard input and, if that is not enough,
// by SIGKILL, and waits for it.
func (h *helper) Close() error {
	_ = h.in.Close()
	stop := time.AfterFunc(gone, func() { _ = h.cmd.Process.Kill() })
	defer stop.Stop()
	return h.cmd.Wait()
}

// lines logs what a helper, or a library in it, prints on standard error.
type lines struct {
	token string
	log   *slog.Logger
	line  []byte
	count int
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c != '\n' && len(l.line) < maxLine:
			l.line = append(l.line, c)
		case c == '\n':
			if l.count++; l.count <= maxLines {
				l.log.Warn("token helper", "token", l.token, "output", printable.Clip(string(l.line), maxLine))
			}
			l.line = l.line[:0]
		}
	}
	return len(b), nil
}
