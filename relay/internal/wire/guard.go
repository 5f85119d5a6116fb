package wire

import (
	"log/slog"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
)

// Guard runs f and turns a panic into an error of kind Internal, so that the
// peer keeps the message and tries again. The failure is logged here, unless
// the caller that found it has.
func Guard(log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if err == nil {
			return
		}
		if f := fault.Of(err); !f.Logged {
			log.Info("refused", "at", what, "code", Reply(err).Code, "kind", f.Kind.String(), "error", err)
		}
	}()
	defer guard.Recover(&err, log, what, "")
	return f()
}
