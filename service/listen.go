package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/smimerelay/smimerelay/internal/config"
)

// inherited are the listening sockets that systemd handed over, by the name that
// the socket unit gave them. They are taken from the environment once.
type inherited map[string][]net.Listener

func systemdSockets() (inherited, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	return named, nil
}

// take hands out the next unused socket of a name.
func (in inherited) take(name string) (net.Listener, error) {
	for len(in[name]) > 0 {
		l := in[name][0]
		in[name] = in[name][1:]
		if l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("systemd gave no socket named %q: add FileDescriptorName=%s to the socket unit", name, name)
}

// listen opens an address: "host:port", "unix:/path" with the permissions mode,
// or "systemd:NAME".
func (in inherited) listen(ctx context.Context, address, mode string) (*socket, error) {
	if name, ok := strings.CutPrefix(address, "systemd:"); ok {
		l, err := in.take(name)
		return &socket{l}, err
	}
	address = config.Place(address)
	var lc net.ListenConfig
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		l, err := lc.Listen(ctx, "tcp", address)
		return &socket{l}, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{l}, nil
}

func chmod(path, mode string) error {
	bits, err := strconv.ParseUint(mode, 8, 9)
	if err != nil {
		return fmt.Errorf("mode %q: %w", mode, err)
	}
	return os.Chmod(path, fs.FileMode(bits))
}

// errNotSocket: what is at the path of a socket is left alone.
var errNotSocket = errors.New("exists and is not a socket")

// removeStale removes a socket that a dead process left behind. One that
// a process still listens on is left alone, and Listen then says so.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: %w", path, errNotSocket)
	}
	if c, err := net.Dial("unix", path); err == nil {
		return c.Close()
	}
	return os.Remove(path)
}

// socket is a listening socket that outlives the servers that accept from it:
// when a server is exchanged, clients that connect meanwhile wait in the
// kernel's queue instead of being refused.
type socket struct{ net.Listener }

// share returns a listener of its own on the same socket, for a server to serve
// and to close.
func (s *socket) share() (net.Listener, error) {
	filer, ok := s.Listener.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("%s: not a socket that can be shared", s.Addr())
	}
	f, err := filer.File()
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	return l, errors.Join(err, f.Close())
}
