package relay

import (
	"context"
	"sync/atomic"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Switch is a Handler that passes everything on to another one, which can be
// exchanged while it serves. A transaction that began with the old one may end
// with the new one: each call is decided by one configuration as a whole, and
// what is asked at RCPT time is asked again of the message.
type Switch struct{ current atomic.Pointer[Handler] }

var _ Handler = (*Switch)(nil)

// NewSwitch returns a Switch that passes on to h.
func NewSwitch(h Handler) *Switch {
	s := &Switch{}
	s.current.Store(&h)
	return s
}

// Swap passes on to h from now on and returns the handler used so far.
func (s *Switch) Swap(h Handler) Handler { return *s.current.Swap(&h) }

func (s *Switch) handler() Handler { return *s.current.Load() }

// Direction implements Handler.
func (s *Switch) Direction(env *Envelope, to address.Address) enforce.Direction {
	return s.handler().Direction(env, to)
}

// Recipient implements Handler.
func (s *Switch) Recipient(ctx context.Context, env *Envelope, r Recipient) error {
	return s.handler().Recipient(ctx, env, r)
}

// Process implements Handler.
func (s *Switch) Process(ctx context.Context, env *Envelope, msg *message.Message) (*Outcome, error) {
	return s.handler().Process(ctx, env, msg)
}

// Report implements Handler.
func (s *Switch) Report(d Delivery, e Event) (Delivery, bool, error) {
	return s.handler().Report(d, e)
}
