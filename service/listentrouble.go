package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/smimerelay/smimerelay/internal/config"
)

// listenError is a listener that cannot be opened, and what to do.
type listenError struct {
	text, remedy string
	cause        error
}

func (e *listenError) Error() string { return e.text + "; " + e.remedy }

func (e *listenError) Unwrap() error { return e.cause }

// holder is the process that listens at an address.
type holder struct {
	pid  int
	name string
}

func (h holder) String() string { return fmt.Sprintf("%s (process %d)", h.name, h.pid) }

// mine reports whether the holder is this process, or another one of this program, such as the
// gateway that serves while a check runs.
func (h holder) mine() bool { return h.pid == os.Getpid() || h.name == "smimerelay" }

// listenTrouble says why an address cannot be listened at.
func listenTrouble(address string, err error) *listenError {
	e := &listenError{cause: err, text: bareCause(err)}
	path, isUnix := strings.CutPrefix(address, "unix:")
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.remedy = "stop the program that uses it, or choose another address; ss -ltnp, as root, names it"
		if h, ok := holderOf(address); ok && h.pid == os.Getpid() {
			e.remedy = "another listener of this configuration has it: choose another address"
		} else if ok {
			e.text, e.remedy = e.text+", by "+h.String(), "stop that program, or choose another address"
		}
	case errors.Is(err, errNotSocket):
		e.remedy = "remove it, or choose another path"
	case isUnix && errors.Is(err, fs.ErrNotExist):
		e.text = fmt.Sprintf("the folder %q does not exist", filepath.Dir(path))
		e.remedy = createSocketFolder(filepath.Dir(path))
	case isUnix && errors.Is(err, syscall.EROFS):
		e.text = fmt.Sprintf("no socket may be made in the folder %q: %s", filepath.Dir(path), e.text)
		e.remedy = makeWritable(filepath.Dir(path))
	case isUnix && errors.Is(err, fs.ErrPermission):
		e.text = fmt.Sprintf("no socket may be made in the folder %q: %s", filepath.Dir(path), e.text)
		e.remedy = "have it belong to the user of the gateway: " + socketFolder(filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		e.text += ": ports below 1024 need a privilege"
		e.remedy = "choose a port from 1024 on, or have systemd open it: a socket unit, and address = \"systemd:NAME\""
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.remedy = "write an address of this host, as ip address shows them, or 0.0.0.0 for all"
	default:
		e.remedy = "correct the address"
	}
	return e
}

// bareCause is the cause of an error of package net without what was done to which address.
func bareCause(err error) string {
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func socketFolder(folder string) string {
	return "install -d -o smimerelay -g smimerelay -m 0750 " + folder
}

func createSocketFolder(folder string) string {
	if folder == "/run/smimerelay" {
		return "systemctl start smimerelay creates it; without systemd: " + socketFolder(folder)
	}
	return "create it: " + socketFolder(folder)
}

// unlistenable are the listeners that serve could not open now. Nothing is opened for that; what
// a gateway that serves already has is fine.
func (p *Parts) unlistenable() config.Problems {
	var ws config.Problems
	for _, l := range p.Config.Served() {
		if strings.HasPrefix(l.Address, "systemd:") {
			continue
		}
		err := tryListen(l.Address) // nothing listens there: config.Place need not be asked
		if err == nil {
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			if h, ok := holderOf(l.Address); !ok || h.mine() {
				continue // the gateway, or not known
			}
		}
		e := listenTrouble(l.Address, err)
		ws = append(ws, p.Config.Problem(l.Key, fmt.Sprintf("%q cannot be opened: %s", l.Address, e.text), e.remedy))
	}
	return ws
}

// privileged warns of ports that the service may not open, where this process has the user number
// 0 and may. What a gateway has already is fine.
func privileged(c *config.Config, start int) config.Problems {
	var ws config.Problems
	for _, l := range c.Served() {
		_, text, err := net.SplitHostPort(l.Address)
		port, err2 := strconv.Atoi(text)
		if err != nil || err2 != nil || port == 0 || port >= start {
			continue
		}
		if h, ok := holderOf(l.Address); ok && h.mine() {
			continue
		}
		e := listenTrouble(l.Address, syscall.EACCES)
		ws = append(ws, c.Problem(l.Key, fmt.Sprintf("%q cannot be opened by the user %s of the service: %s", l.Address, serviceUser, e.text), e.remedy))
	}
	return ws
}

// firstFree is the first port that needs no privilege.
func firstFree() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	n, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || err2 != nil {
		return 1024
	}
	return n
}

// hasCapability reports whether an administrator gave the unit the privilege to open any port.
func hasCapability(folder string) bool {
	files, err := filepath.Glob(filepath.Join(folder, "*.conf"))
	return err == nil && slices.ContainsFunc(files, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), "CAP_NET_BIND_SERVICE")
	})
}

const unitOverrides = "/etc/systemd/system/smimerelay.service.d"

// tryListen says why an address could not be listened at.
func tryListen(address string) error {
	path, isUnix := strings.CutPrefix(address, "unix:")
	if isUnix {
		return trySocket(path)
	}
	if anyPort(address) {
		return nil
	}
	return bindOnly(address)
}

// trySocket looks at the folder of a socket, and at what is in its place.
func trySocket(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return errNotSocket
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	return mayWrite(filepath.Dir(path))
}
