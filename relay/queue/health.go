package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// health is whether the store did what was last asked of it.
type health struct {
	log   *slog.Logger
	clock func() time.Time

	mu    sync.Mutex
	err   error // nil while it works
	since time.Time
	wrote bool // since the last look
}

// failed notes an error of the store. It is logged when it is the first.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.since = h.clock()
		h.log.Error("queue unavailable: mail is deferred until it can be read and written", "error", err)
	}
	h.err = err
}

// works notes that something was written.
func (h *health) works() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrote = true
}

// recovered notes that the store can be written again.
func (h *health) recovered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		h.log.Warn("queue available again", "after", h.clock().Sub(h.since).String())
	}
	h.err = nil
}

// trouble returns what is wrong with the store, nil while it works.
func (h *health) trouble() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		return nil
	}
	return fmt.Errorf("queue failing since %s: %w", h.since.UTC().Format(time.RFC3339), h.err)
}

// tookWrites reports whether something was written since it was last asked.
func (h *health) tookWrites() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.wrote
	h.wrote = false
	return w
}

// Ready returns nil while messages can be stored, and else why they cannot: the
// store fails, the disk is too full, or the queue is.
func (q *Queue) Ready(ctx context.Context) error {
	if err := q.health.trouble(); err != nil {
		return err
	}
	if err := q.room(); err != nil {
		return fmt.Errorf("queue %q: %w", q.config.label(), err)
	}
	n, err := q.size(ctx)
	if err != nil {
		return fmt.Errorf("queue %q: %w", q.config.label(), err)
	}
	if n >= q.config.MaxSize {
		return fmt.Errorf("queue full: %d messages, the limit is %d (queue.max_size)", n, q.config.MaxSize)
	}
	return nil
}
