//go:build unix

package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// errBound ends what net.ListenConfig does before it listens.
var errBound = errors.New("bound")

// bindOnly binds a socket to a TCP address and closes it. It does not listen: a gateway that
// starts at the same time finds the address free.
func bindOnly(address string) error {
	lc := net.ListenConfig{Control: func(_, resolved string, c syscall.RawConn) error {
		to, err := sockaddr(resolved)
		if err != nil {
			return err
		}
		bound := errBound
		err = c.Control(func(fd uintptr) {
			if err := syscall.Bind(int(fd), to); err != nil {
				bound = err
			}
		})
		return errors.Join(err, bound)
	}}
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err == nil {
		return l.Close() // never: Control has an error always
	}
	if errors.Is(err, errBound) {
		return nil
	}
	return err
}

// sockaddr is an address that package net has resolved.
func sockaddr(text string) (syscall.Sockaddr, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	if a.Addr().Is4() {
		return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	}
	return &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}, nil
}

// mayWrite says why this process may not change a file, or make files in a folder.
func mayWrite(path string) error {
	const write, enter = 0o2, 0o1
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return syscall.Access(path, write|enter)
	}
	return syscall.Access(path, write)
}
