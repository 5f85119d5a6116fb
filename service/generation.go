package service

import (
	"context"
	"sync"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// current holds the parts in use. They can be exchanged at any time: a caller that
// began with the old ones ends with them, and the last one out closes them.
type current struct {
	mu     sync.Mutex
	parts  *shared
	closed func(error)
}

// shared are parts with those who use them; the holder is one.
type shared struct {
	*Parts
	users
}

// use returns the parts in use. Call release when done with them.
func (c *current) use() (p *Parts, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.parts
	s.join()
	return s.Parts, func() { c.leave(s) }
}

// swap puts new parts in place; nil at the end.
func (c *current) swap(p *Parts) {
	c.mu.Lock()
	old := c.parts
	c.parts = nil
	if p != nil {
		c.parts = &shared{Parts: p}
		c.parts.join()
	}
	c.mu.Unlock()
	if old != nil {
		c.leave(old)
	}
}

func (c *current) leave(s *shared) {
	if s.users.leave() {
		c.closed(s.Close())
	}
}

// exchangeable is a Handler that passes each call on to the parts in use. What
// was asked at RCPT time is asked again of the message, so that a transaction
// may begin under one configuration and end under the next.
type exchangeable struct{ *current }

var (
	_ relay.Handler = exchangeable{}
	_ relay.Decider = exchangeable{}
)

// Direction is gateway.Gateway.Direction of the parts in use.
func (e exchangeable) Direction(env *relay.Envelope, to address.Address) enforce.Direction {
	p, release := e.use()
	defer release()
	return p.Gateway.Direction(env, to)
}

// Recipient implements relay.Handler.
func (e exchangeable) Recipient(ctx context.Context, env *relay.Envelope, r relay.Recipient) error {
	p, release := e.use()
	defer release()
	return p.Gateway.Recipient(ctx, env, r)
}

// Process implements relay.Handler.
func (e exchangeable) Process(ctx context.Context, env *relay.Envelope, msg *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	p, release := e.use()
	defer release()
	return p.Gateway.Process(ctx, env, msg, can)
}

// Report implements relay.Reporter.
func (e exchangeable) Report(ctx context.Context, d relay.Delivery, ev relay.Event) (relay.Delivery, bool, error) {
	p, release := e.use()
	defer release()
	return p.Gateway.Report(ctx, d, ev)
}

// Reconsider implements relay.Decider. A user who gives an order wants to know how it is
// now, and not what is remembered.
func (e exchangeable) Reconsider(ctx context.Context, h relay.Hold, order relay.Order) (relay.Batch, error) {
	p, release := e.use()
	defer release()
	if order.By != "" {
		p.Directory.Flush()
	}
	ctx, cancel := context.WithTimeout(ctx, p.Config.Limits.Process)
	defer cancel()
	return p.Gateway.Reconsider(ctx, h, order)
}

// Generation implements relay.Decider: it changes when there are certificates, or may
// be, that were not there before.
func (e exchangeable) Generation(context.Context) (int64, error) {
	p, release := e.use()
	defer release()
	return int64(p.Directory.Version()), nil
}
