// Package guard turns a panic into a temporary error: the peer keeps its message and
// tries again, and the process goes on.
package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// ErrPanic is in the chain of every error that was a panic.
var ErrPanic = errors.New("panic")

// Recover is deferred: it puts an error in place of a panic, and logs what is needed to
// find the defect. at says what was being done, id for which message; the peer is given
// the id too. Where log is nil, the caller logs the error.
func Recover(err *error, log *slog.Logger, at, id string) {
	v := recover()
	if v == nil {
		return
	}
	text := "internal error, try again later"
	if id != "" {
		text += " (" + id + ")"
	}
	f := fault.New(fault.Internal, text, fmt.Errorf("%w: %v", ErrPanic, v))
	if log != nil {
		log.Error("panic", "at", at, "id", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		f.Logged = true
	}
	*err = f
}

// Do runs f, and returns its error or what Recover makes of its panic.
func Do(log *slog.Logger, at string, f func() error) (err error) {
	defer Recover(&err, log, at, "")
	return f()
}
