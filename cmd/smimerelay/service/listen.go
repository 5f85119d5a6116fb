package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// sockets are the listening sockets that systemd handed over, by the name that
// the socket unit gave them. They are taken from the environment once.
type sockets map[string][]net.Listener

func systemdSockets() (sockets, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	return named, nil
}

// listen opens an address: "host:port", "unix:/path" or "systemd:NAME".
func (s sockets) listen(ctx context.Context, address string) (net.Listener, error) {
	if name, ok := strings.CutPrefix(address, "systemd:"); ok {
		return s.take(name)
	}
	var lc net.ListenConfig
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		return lc.Listen(ctx, "unix", path)
	}
	return lc.Listen(ctx, "tcp", address)
}

// take hands out the next unused socket of a name.
func (s sockets) take(name string) (net.Listener, error) {
	for len(s[name]) > 0 {
		l := s[name][0]
		s[name] = s[name][1:]
		if l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("systemd gave no socket named %q: add FileDescriptorName=%s to the socket unit", name, name)
}

// removeStale removes a socket that a dead process left behind. One that
// somebody still listens on is left alone, and Listen then says so.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: is there and not a socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil
	}
	return os.Remove(path)
}
