package service

import (
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/relay"
)

// tracingInUse are the traces of a configuration.
type tracingInUse struct {
	*tracing.Tracer // nil where there are none
	of              config.Tracing
}

// closeTraces is how long the last spans may take.
const closeTraces = 5 * time.Second

// trace makes traces as a configuration says from now on. Those of messages under way end
// as they began, or are lost.
func (s *Service) trace(p *Parts) {
	before := s.traces.Load()
	if before != nil && before.of == p.Config.Tracing {
		return
	}
	after := &tracingInUse{of: p.Config.Tracing}
	if t := p.Config.Tracing; t.URL != "" {
		after.Tracer = tracing.New(tracing.Config{URL: t.URL, OneIn: t.OneIn, Hostname: p.Gateway.Hostname, Version: s.options.Version, Log: s.log})
	}
	s.traces.Store(after)
	if before != nil {
		s.work.Go(func() { s.closeTraces(before) })
	}
}

func (s *Service) closeTraces(t *tracingInUse) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTraces)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		s.log.Warn("the last traces could not be sent", "error", err)
	}
}

// traced returns a context in which the stages of a message are traced.
func (s *Service) traced(ctx context.Context, id string) context.Context {
	if t := s.traces.Load(); t != nil {
		return t.Message(ctx, id)
	}
	return ctx
}

// tracedQueue is a relay.Queue that traces what is stored.
type tracedQueue struct {
	relay.Queue
	service *Service
}

// Put implements relay.Queue.
func (q tracedQueue) Put(ctx context.Context, b relay.Batch) error {
	ctx, span := tracing.Start(q.service.traced(ctx, b.ID()), "store")
	span.Number("copies", len(b.Copies))
	span.Number("notices", len(b.Notices))
	err := q.Queue.Put(ctx, b)
	span.End(err)
	return err
}

// tracedDecider is a relay.Decider that traces what is decided on held messages.
type tracedDecider struct {
	exchangeable
	service *Service
}

// Reconsider implements relay.Decider.
func (d tracedDecider) Reconsider(ctx context.Context, h relay.Hold, order relay.Order) (relay.Batch, error) {
	ctx, span := tracing.Start(d.service.traced(ctx, h.Envelope.ID), "reconsider")
	b, err := d.exchangeable.Reconsider(ctx, h, order)
	span.End(err)
	return b, err
}

// tracedHop is a relay.Deliverer that traces what is handed to the next hop: while the client
// waits, or as an attempt of the queue.
type tracedHop struct{ nextHop }

// Deliver implements relay.Deliverer.
func (n tracedHop) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	stage := "hand over"
	if n.listener == "" {
		stage = "attempt"
	}
	ctx, span := tracing.Start(n.service.traced(ctx, d.Origin.ID), stage)
	span.Number("recipients", len(d.Recipients))
	errs, relayed := n.nextHop.Deliver(ctx, d)
	span.End(errors.Join(errs...))
	return errs, relayed
}

// whole traces a message as a whole, once it is answered.
func (s *Service) whole(a relay.Tally, direction, outcome string) {
	t := s.traces.Load()
	if t == nil || t.Tracer == nil {
		return
	}
	env := a.Envelope
	span := t.Root(context.Background(), env.ID, env.Begun)
	span.Text("id", env.ID)
	span.Text("queue_id", env.QueueID)
	span.Text("listener", env.Listener)
	span.Text("direction", direction)
	span.Text("outcome", outcome)
	span.Number("recipients", len(env.Recipients))
	span.End(a.Err)
}
