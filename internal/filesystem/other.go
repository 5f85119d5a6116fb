//go:build !unix

package filesystem

import (
	"io/fs"
	"os"
)

// Lock is not to be had: two processes that open one store would spoil it.
func Lock(*os.File) error { return ErrUnsupported }

// TryLock is not to be had either.
func TryLock(*os.File) error { return ErrUnsupported }

// Owner does not know owners.
func Owner(fs.FileInfo) (user, group int, ok bool) { return 0, 0, false }

// Free does not know what is left.
func Free(string) (int64, error) { return 0, ErrUnsupported }

// ReadOnly does not know how a file system is mounted.
func ReadOnly(string) bool { return false }

// syncFolder does nothing: folders cannot be opened for it.
func syncFolder(string) error { return nil }
