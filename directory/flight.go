package directory

import (
	"context"

	"github.com/smimerelay/smimerelay/internal/guard"
)

// flight is a question under way; all who ask the same wait for its answer.
type flight[T any] struct {
	done   chan struct{}
	result T // set before done is closed
}

// flights are the questions of one kind that are under way, by key.
type flights[T any] map[string]*flight[T]

// wait returns the answer, or an error when ctx ends first or no source is asked
// any more.
func (f *flight[T]) wait(ctx context.Context) (T, error) {
	var nothing T
	if f == nil {
		return nothing, errClosed
	}
	select {
	case <-f.done:
		return f.result, nil
	case <-ctx.Done():
		return nothing, ctx.Err()
	}
}

// join returns the flight for key. Where there is none it looks again
// whether the answer is remembered, for one may have landed since the caller
// looked, and then begins one that runs ask. It is nil when d is closed.
func join[T any](d *Directory, under flights[T], key string, remembered func() (T, bool), ask func(context.Context) T, failed func(error) T) *flight[T] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := under[key]; ok {
		return f
	}
	if d.closed {
		return nil
	}
	f := &flight[T]{done: make(chan struct{})}
	if r, ok := remembered(); ok {
		f.result = r
		close(f.done)
		return f
	}
	under[key] = f
	// Close waits for it.
	d.running.Go(func() {
		ctx, cancel := context.WithTimeout(d.base, d.cfg.Timeout)
		defer cancel()
		// What a server sent must not be able to end the process.
		if err := guard.Do(d.cfg.Log, "directory lookup", func() error {
			f.result = ask(ctx)
			return nil
		}); err != nil {
			f.result = failed(err)
		}
		d.mu.Lock()
		delete(under, key)
		d.mu.Unlock()
		close(f.done)
	})
	return f
}
