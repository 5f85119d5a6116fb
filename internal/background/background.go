// Package background runs calls that belong to none of those who wait for them, and
// waits for them when it is closed. A panic in one does not end the process.
package background

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/smimerelay/smimerelay/internal/guard"
)

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("shutting down")

// A Runner runs calls until it is closed.
type Runner struct {
	log *slog.Logger
	at  string

	ctx    context.Context //nolint:containedctx // ends with Close, not with a call
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// New returns a Runner. at says what it does, for the log of a panic; where log is nil,
// who waits for a call logs the error that became of it.
func New(log *slog.Logger, at string) *Runner {
	r := &Runner{log: log, at: at}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Go runs f with a context that ends with Close. It reports false after Close.
func (r *Runner) Go(f func(context.Context)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.running.Go(func() {
		_ = guard.Do(r.log, r.at, func() error {
			f(r.ctx)
			return nil
		})
	})
	return true
}

// Close cancels the calls under way and waits for them. Later ones are not begun.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.running.Wait()
}
