package wire

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// Store puts deliveries into a queue together with what an outcome holds back:
// both are on the disk when it returns nil, or neither is.
func Store(ctx context.Context, q relay.Queue, env *relay.Envelope, o *relay.Outcome, ds ...relay.Delivery) error {
	ds = env.Named(ds...)
	if o.Held == nil {
		return q.Put(ctx, ds...)
	}
	if q == nil {
		return fault.Of(errors.New("a message is to be held, and there is no queue"))
	}
	return q.Hold(ctx, *o.Held, ds...)
}
