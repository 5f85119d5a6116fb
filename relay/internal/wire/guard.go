package wire

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// Guard runs f and turns a panic into an error of kind Internal, so that the
// peer keeps the message and tries again. The failure is logged here, unless
// the caller that found it has.
func Guard(log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("panic", "at", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "internal error, try again later", nil)
			return
		}
		if f := fault.Of(err); err != nil && !f.Logged {
			log.Info("refused", "at", what, "code", Reply(err).Code, "kind", f.Kind.String(), "error", err)
		}
	}()
	return f()
}
