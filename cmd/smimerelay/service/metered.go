package service

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/relay"
)

// metered is a Handler that counts what another one decides.
type metered struct {
	relay.Handler
	metrics *observe.Metrics
	clock   func() time.Time
}

// Recipient implements relay.Handler.
func (m metered) Recipient(ctx context.Context, env *relay.Envelope, r relay.Recipient) error {
	err := m.Handler.Recipient(ctx, env, r)
	if err != nil {
		m.refusal(env, err)
		m.metrics.Recipients.WithLabelValues(string(env.Direction), "refused").Inc()
	}
	return err
}

// Process implements relay.Handler.
func (m metered) Process(ctx context.Context, env *relay.Envelope, msg *message.Message) (*relay.Outcome, error) {
	begin := m.clock()
	o, err := m.Handler.Process(ctx, env, msg)
	direction := string(env.Direction)
	m.metrics.MessageSeconds.WithLabelValues(direction).Observe(m.clock().Sub(begin).Seconds())
	m.metrics.MessageBytes.WithLabelValues(direction).Observe(float64(len(msg.Bytes())))
	m.metrics.Messages.WithLabelValues(env.Listener, direction, verdict(err)).Inc()
	if err != nil {
		m.refusal(env, err)
		return o, err
	}
	m.count(env.Direction, o)
	for _, r := range o.Refused {
		m.refusal(env, r.Err)
	}
	return o, nil
}

func (m metered) count(direction enforce.Direction, o *relay.Outcome) {
	add := func(outcome string, n int) {
		m.metrics.Recipients.WithLabelValues(string(direction), outcome).Add(float64(n))
	}
	for _, d := range o.Deliveries {
		add("delivered", len(d.Recipients))
	}
	add("refused", len(o.Refused))
	add("stripped", len(o.Stripped))
	if o.Held != nil {
		add("held", len(o.Held.Envelope.Recipients))
	}
}

func (m metered) refusal(env *relay.Envelope, err error) {
	if errors.Is(err, relay.ErrPanic) {
		m.metrics.Panics.Inc()
	}
	m.metrics.Refusals.WithLabelValues(env.Listener, fault.Of(err).Kind.String()).Inc()
}

func verdict(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case fault.Of(err).Kind.Temporary():
		return "deferred"
	}
	return "refused"
}

// nextHop is a Deliverer that passes on to the one of the parts in use, and
// counts.
type nextHop struct {
	listener string // "" for the queue: then each message knows its own
	service  *Service
}

// Deliver implements relay.Deliverer.
func (n nextHop) Deliver(ctx context.Context, d relay.Delivery) []error {
	p, release := n.service.use()
	defer release()
	target := p.nextHop
	if own, ok := p.nextHops[cmp.Or(n.listener, d.Listener)]; ok {
		target = own
	}
	errs := target.Deliver(ctx, d)
	for _, err := range errs {
		outcome := "delivered"
		if err != nil {
			outcome = verdict(err)
		}
		n.service.metrics.Deliveries.WithLabelValues(outcome).Inc()
	}
	return errs
}
