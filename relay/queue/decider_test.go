package queue

import (
	"context"

	"github.com/smimerelay/smimerelay/relay"
)

// decider is a relay.Decider made of functions; without them nothing is reported,
// held messages stay, and no certificate becomes known.
type decider struct {
	report     func(relay.Delivery, relay.Event) (relay.Delivery, bool, error)
	reconsider func(context.Context, relay.Hold, relay.Order) (relay.Batch, error)
	generation func() int64
}

func (d decider) Report(_ context.Context, to relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
	if d.report == nil {
		return relay.Delivery{}, false, nil
	}
	return d.report(to, e)
}

func (d decider) Reconsider(ctx context.Context, h relay.Hold, order relay.Order) (relay.Batch, error) {
	if d.reconsider == nil {
		return relay.Batch{Held: &h}, nil
	}
	return d.reconsider(ctx, h, order)
}

func (d decider) Generation(context.Context) (int64, error) {
	if d.generation == nil {
		return 0, nil
	}
	return d.generation(), nil
}

func batch(ds ...relay.Delivery) relay.Batch { return relay.Batch{Copies: ds} }

func holding(h relay.Hold, ds ...relay.Delivery) relay.Batch {
	return relay.Batch{Copies: ds, Held: &h}
}
