package background

import (
	"context"
	"time"
)

// Linger returns a context that ends grace after ctx does: what was begun can come to its end,
// so that it is known what became of it. The function ends it and frees what belongs to it.
func Linger(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}
