package directory

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A server that failed breakAfter times in a row rests for restFirst, then one
// operation tries it; each further failure doubles the rest up to restMost.
const (
	breakAfter = 3
	restFirst  = 2 * time.Second
	restMost   = time.Minute
)

// breaker keeps operations away from a server that does not answer, so that
// those who wait for it learn so at once and the next server is asked.
type breaker struct {
	clock func() time.Time

	mu       sync.Mutex
	failures int
	rest     time.Duration
	until    time.Time
	trying   bool // one operation is out to see whether the server is back
}

var (
	errResting = errors.New("not queried: it failed several times, waiting before the next attempt")
	errBusy    = errors.New("too many concurrent requests")
)

// guard runs an operation unless the server rests. broken says which errors
// speak against the server as a whole.
func (b *breaker) guard(broken func(error) bool, operation func() error) error {
	if !b.allow() {
		return errResting
	}
	end := b.release // also after a panic: nothing else would end the rest
	defer func() { end() }()
	err := operation()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errBusy):
		// No caller waits any more, or it was not asked: that says nothing.
	case broken(err):
		end = b.failed
	default:
		end = b.succeeded
	}
	return err
}

// allow reports whether the server may be asked; if so, one of release,
// succeeded and failed must follow.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return true
	}
	if b.trying || b.clock().Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

// release ends an operation that shows nothing.
func (b *breaker) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

// succeeded ends an operation that the server answered.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying, b.failures, b.rest = false, 0, 0
}

// failed ends an operation that the server did not answer.
func (b *breaker) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if b.failures++; b.failures < breakAfter {
		return
	}
	b.rest = min(max(2*b.rest, restFirst), restMost)
	b.until = b.clock().Add(b.rest)
}
