//go:build unix

package smtpclient

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// readAtOnce reads what there is: sockets of Go do not block.
func readAtOnce(raw syscall.RawConn, p []byte) (n int, err error) {
	outer := raw.Read(func(fd uintptr) bool {
		for {
			n, err = syscall.Read(int(fd), p)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	switch {
	case outer != nil:
		return 0, outer
	case errors.Is(err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
