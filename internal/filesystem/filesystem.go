// Package filesystem has what the store and the queue ask of a file system beyond
// package os: locks between processes, the owner of a file, the space that is left.
// Unix systems have it. On Windows only the commands that need no store run.
package filesystem

import (
	"errors"
	"os"
	"path/filepath"
)

// ErrUnsupported: this system does not have what was asked for.
var ErrUnsupported = errors.New("certificate store and queue: not supported on this system; run the gateway on Linux")

// GiveToFolder makes a file that root made in a folder of another user that one's: the
// gateway does not run as root.
func GiveToFolder(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	if user, group, ok := Owner(info); ok && user != 0 {
		return f.Chown(user, group)
	}
	return nil
}
