// Package filesystem has what the store and the queue ask of a file system beyond
// package os: locks between processes, the owner of a file, the space that is left.
// Unix systems have it. On Windows only the commands that need no store run.
package filesystem

import "errors"

// ErrUnsupported: this system does not have what was asked for.
var ErrUnsupported = errors.New("certificate store and queue: not supported on this system; run the gateway on Linux")
