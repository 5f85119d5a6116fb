package service

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
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
		m.metrics.Recipients.WithLabelValues(string(m.Direction(env, r.Address)), "refused").Inc()
	}
	return err
}

// Process implements relay.Handler.
func (m metered) Process(ctx context.Context, env *relay.Envelope, msg *message.Message) (*relay.Outcome, error) {
	begin := m.clock()
	o, err := m.Handler.Process(ctx, env, msg)
	direction := m.direction(env)
	m.metrics.MessageSeconds.WithLabelValues(direction).Observe(m.clock().Sub(begin).Seconds())
	m.metrics.MessageBytes.WithLabelValues(direction).Observe(float64(len(msg.Bytes())))
	m.metrics.Messages.WithLabelValues(env.Listener, direction, verdict(err)).Inc()
	if err != nil {
		m.refusal(env, err)
		return o, err
	}
	m.count(env, o)
	for _, r := range o.Refused {
		m.refusal(env, r.Err)
	}
	return o, nil
}

// direction is that of a message: "both" where its recipients have different ones.
func (m metered) direction(env *relay.Envelope) string {
	var direction enforce.Direction
	for _, r := range env.Recipients {
		d := m.Direction(env, r.Address)
		if direction != "" && direction != d {
			return "both"
		}
		direction = d
	}
	return string(direction)
}

func (m metered) count(env *relay.Envelope, o *relay.Outcome) {
	add := func(to address.Address, outcome string) {
		m.metrics.Recipients.WithLabelValues(string(m.Direction(env, to)), outcome).Inc()
	}
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			add(r.Address, "delivered")
		}
	}
	for _, r := range o.Refused {
		add(r.Recipient.Address, "refused")
	}
	for _, a := range o.Stripped {
		add(a, "stripped")
	}
	if o.Held != nil {
		for _, r := range o.Held.Envelope.Recipients {
			add(r.Address, "held")
		}
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
func (n nextHop) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	p, release := n.service.use()
	defer release()
	errs, relayed := p.routes.deliver(ctx, cmp.Or(n.listener, d.Listener), d)
	for _, err := range errs {
		outcome := "delivered"
		if err != nil {
			outcome = verdict(err)
		}
		n.service.metrics.Deliveries.WithLabelValues(outcome).Inc()
	}
	return errs, relayed
}
