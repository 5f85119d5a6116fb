//go:build unix

package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Lock waits until no other process has f locked, and locks it. The kernel unlocks it
// when f is closed or the process ends.
func Lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }

// TryLock is Lock without waiting: it fails where another process has f locked.
func TryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// Owner returns the user and group of a file; ok is false where they are not known.
func Owner(info fs.FileInfo) (user, group int, ok bool) {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(owner.Uid), int(owner.Gid), true
}

// Free returns how many octets are left to this process in the file system of path.
func Free(path string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// stReadOnly is ST_RDONLY of statvfs(3), which Linux has in f_flags.
const stReadOnly = 1

// ReadOnly reports whether the file system of path is mounted read-only.
func ReadOnly(path string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(path, &s) == nil && s.Flags&stReadOnly != 0
}

// syncFolder puts the names in a folder on the disk.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
