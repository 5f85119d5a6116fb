package wire

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// From notes on deliveries which message they came of, for the log.
func From(env *relay.Envelope, ds ...relay.Delivery) []relay.Delivery {
	named := make([]relay.Delivery, len(ds))
	for i, d := range ds {
		d.Origin = env.Origin()
		named[i] = d
	}
	return named
}

// Store puts deliveries into a queue together with what an outcome holds back:
// both are on the disk when it returns nil, or neither is.
func Store(ctx context.Context, q relay.Queue, env *relay.Envelope, o *relay.Outcome, ds ...relay.Delivery) error {
	ds = From(env, ds...)
	if o.Held == nil {
		return q.Put(ctx, ds...)
	}
	if q == nil {
		return fault.Of(errors.New("a message is to be held, and there is no queue"))
	}
	return q.Hold(ctx, *o.Held, ds...)
}
