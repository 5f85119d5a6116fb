package service

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// timed is a Handler that measures and traces another one.
type timed struct {
	exchangeable
	metrics *observe.Metrics
	clock   func() time.Time
	traced  func(ctx context.Context, id string) context.Context
	// recorder is that of the history.
	recorder func() *recorder
}

// Recipient implements relay.Handler.
func (t timed) Recipient(ctx context.Context, env *relay.Envelope, r relay.Recipient) error {
	ctx, span := tracing.Start(t.traced(ctx, env.ID), "recipient")
	err := t.exchangeable.Recipient(ctx, env, r)
	span.End(err)
	if err != nil {
		t.recorder().refused(env, r.Address, t.Direction(env, r.Address), err)
	}
	return err
}

// Process implements relay.Handler.
func (t timed) Process(ctx context.Context, env *relay.Envelope, msg *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	begin := t.clock()
	ctx = t.traced(ctx, env.ID)
	tracing.Past(ctx, "receive", env.Begun)
	ctx, span := tracing.Start(ctx, "process")
	a, err := t.exchangeable.Process(ctx, env, msg, can)
	span.End(err)
	direction := directionOf(t.Direction, env)
	t.metrics.MessageSeconds.WithLabelValues(direction).Observe(t.clock().Sub(begin).Seconds())
	t.metrics.MessageBytes.WithLabelValues(direction).Observe(float64(msg.Size()))
	return a, err
}

// tally is the Meter of the listeners.
type tally struct {
	metrics   *observe.Metrics
	direction func(*relay.Envelope, address.Address) enforce.Direction
	// recorder is that of the history.
	recorder func() *recorder
	// whole traces a message.
	whole func(a relay.Tally, direction, outcome string)
}

// Refused implements relay.Meter.
func (t tally) Refused(env *relay.Envelope, err error) {
	if errors.Is(err, guard.ErrPanic) {
		t.metrics.Panics.Inc()
	}
	t.metrics.Refusals.WithLabelValues(env.Listener, fault.Of(err).Kind.String()).Inc()
}

// Answered implements relay.Meter.
func (t tally) Answered(a relay.Tally) {
	env := a.Envelope
	each := make([]enforce.Direction, len(env.Recipients))
	for i, r := range env.Recipients {
		each[i] = t.direction(env, r.Address)
	}
	direction, whole := together(each), t.message(a)
	t.metrics.Messages.WithLabelValues(env.Listener, direction, whole).Inc()
	t.whole(a, direction, whole)
	for i := range each {
		t.metrics.Recipients.WithLabelValues(string(each[i]), outcome(a, i)).Inc()
	}
	if a.Err == nil && a.Decided != nil {
		t.treatments(a)
	}
	t.recorder().answered(a, t.direction)
}

// message counts the errors that were answered and returns the outcome of the
// message as a whole: one recipient who is accepted makes it accepted.
func (t tally) message(a relay.Tally) string {
	if a.Err != nil {
		t.Refused(a.Envelope, a.Err)
		return verdict(a.Err)
	}
	whole := ""
	for i := range a.Envelope.Recipients {
		err := a.Answer(i)
		if err != nil {
			t.Refused(a.Envelope, err)
		}
		switch v := verdict(err); {
		case v == "accepted" || whole == "":
			whole = v
		case v == "deferred" && whole == "refused":
			whole = v
		}
	}
	return whole
}

// outcome is what became of the recipient at an index of the envelope.
func outcome(a relay.Tally, i int) string {
	if err := a.Answer(i); err != nil {
		return verdict(err)
	}
	return string(a.Decided.Recipients[i].Kind)
}

// treatments counts how the copies that were accepted are protected, and what
// inbound ones turned out to be: a recipient each.
func (t tally) treatments(a relay.Tally) {
	var failed map[address.Address]bool // nil where none did, as most often
	for i, r := range a.Envelope.Recipients {
		if a.Answer(i) == nil {
			continue
		}
		if failed == nil {
			failed = map[address.Address]bool{}
		}
		failed[r.Address] = true
	}
	for _, d := range a.Decided.Copies() {
		n := 0
		for _, r := range d.Recipients {
			if !failed[r.Address] {
				n++
			}
		}
		if p := d.Treatment.Protection; p != "" {
			t.metrics.Outbound.WithLabelValues(p).Add(float64(n))
		}
		if r := d.Treatment.Result; r != "" {
			t.metrics.Inbound.WithLabelValues(r, d.Treatment.Encryption).Add(float64(n))
		}
	}
}

// directionOf is that of a message: "both" where its recipients have different ones.
func directionOf(of func(*relay.Envelope, address.Address) enforce.Direction, env *relay.Envelope) string {
	each := make([]enforce.Direction, len(env.Recipients))
	for i, r := range env.Recipients {
		each[i] = of(env, r.Address)
	}
	return together(each)
}

// together is the direction of a message, of those of its recipients.
func together(each []enforce.Direction) string {
	var direction enforce.Direction
	for _, d := range each {
		if direction != "" && direction != d {
			return "both"
		}
		direction = d
	}
	return string(direction)
}

// verdict is what an answer means for the client: it follows from the reply alone.
func verdict(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case relay.ReplyFor(err).Code/100 == 4:
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
	replies := newReplies()
	errs, relayed := p.routes.deliver(relay.WithReplies(ctx, replies.note), cmp.Or(n.listener, d.Listener), d)
	n.service.recorder.Load().attempted(d, errs, replies.by, n.listener == "")
	for _, err := range errs {
		if relay.Untried(err) {
			continue
		}
		outcome := "delivered"
		if err != nil {
			outcome = verdict(err)
		}
		n.service.metrics.Deliveries.WithLabelValues(outcome).Inc()
	}
	return errs, relayed
}

// replies are those by which next hops took a message.
type replies struct {
	mu sync.Mutex
	by map[address.Address]*history.Event // a map has room for eight at once
}

func newReplies() *replies { return &replies{by: map[address.Address]*history.Event{}} }

func (r *replies) note(to address.Address, host, reply string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[to] = &history.Event{Host: host, Reply: reply}
}
