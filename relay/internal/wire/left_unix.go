//go:build unix

package wire

import (
	"errors"
	"net"
	"syscall"
)

// Left reports whether the peer of a socket is certain to be gone, or to send no more. It does
// not wait, and reads nothing of what is to be read.
func Left(c net.Conn) bool {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	// Control, as Read gives up where the deadline of an earlier read is over.
	outer := raw.Control(func(fd uintptr) {
		var one [1]byte
		for {
			n, _, err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	})
	switch {
	case outer != nil:
		return true // it is closed here
	case err != nil:
		return !errors.Is(err, syscall.EAGAIN)
	}
	return n == 0
}
