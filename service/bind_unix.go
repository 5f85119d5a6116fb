//go:build unix

package service

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// errBound ends what net.ListenConfig does before it listens.
var errBound = errors.New("bound")

// bindOnly binds a socket to a TCP address and closes it. It does not listen: a gateway that
// starts at the same time finds the address free.
func bindOnly(address string) error {
	lc := net.ListenConfig{Control: func(network, resolved string, c syscall.RawConn) error {
		to, err := sockaddr(network, resolved)
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

// sockaddr is an address that package net has resolved, for a socket of the family of network,
// "tcp4" or "tcp6": where the address is none, or all of IPv4, it is one of IPv6 that takes both.
func sockaddr(network, resolved string) (syscall.Sockaddr, error) {
	a, err := net.ResolveTCPAddr("tcp", resolved)
	if err != nil {
		return nil, err
	}
	if network == "tcp4" {
		to := &syscall.SockaddrInet4{Port: a.Port}
		copy(to.Addr[:], a.IP.To4())
		return to, nil
	}
	to := &syscall.SockaddrInet6{Port: a.Port}
	if !a.IP.IsUnspecified() {
		copy(to.Addr[:], a.IP.To16())
	}
	if i, err := net.InterfaceByName(a.Zone); err == nil {
		to.ZoneId = uint32(i.Index)
	}
	return to, nil
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
