package background

import (
	"context"

	"golang.org/x/sync/singleflight"

	"github.com/smimerelay/smimerelay/internal/guard"
)

// A Group makes one call for all who want the same at the same time. One who stops
// waiting does not end the call: the others still want it, and what it finds can be
// remembered.
type Group[V any] struct {
	calls  singleflight.Group
	runner *Runner
}

// NewGroup returns a Group of calls that r runs.
func NewGroup[V any](r *Runner) *Group[V] { return &Group[V]{runner: r} }

type outcome[V any] struct {
	value V
	err   error
}

// Do returns what f does, or what the call for key that is under way does. f should
// first look whether the answer has been remembered since its caller looked. The
// context of f ends with Close; when ctx ends first, the error is that of ctx.
func (g *Group[V]) Do(ctx context.Context, key string, f func(context.Context) (V, error)) (V, error) {
	done := make(chan outcome[V], 1)
	if !g.runner.Go(func(base context.Context) { done <- g.call(base, key, f) }) {
		done <- outcome[V]{err: ErrClosed}
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return outcome[V]{}.value, ctx.Err()
	}
}

// Start is Do for one who does not wait.
func (g *Group[V]) Start(key string, f func(context.Context) (V, error)) {
	g.runner.Go(func(base context.Context) { g.call(base, key, f) })
}

func (g *Group[V]) call(ctx context.Context, key string, f func(context.Context) (V, error)) (o outcome[V]) {
	shared, err, _ := g.calls.Do(key, func() (any, error) {
		var v V
		// A panic would be repeated for each who waits.
		err := guard.Do(g.runner.log, g.runner.at, func() (err error) {
			v, err = f(ctx)
			return err
		})
		return v, err
	})
	v, _ := shared.(V)
	return outcome[V]{v, err}
}
