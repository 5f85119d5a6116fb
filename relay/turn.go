package relay

import (
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// turnKey is under which a context has the destination that a delivery has its turn at.
type turnKey struct{}

// WithTurn is for those who deliver what waits in a queue: the delivery has its turn at
// destination, and what goes elsewhere does not wait for one, but gets NotYet.
func WithTurn(ctx context.Context, destination string) context.Context {
	return context.WithValue(ctx, turnKey{}, destination)
}

// Turn returns the destination of WithTurn; queued is false where a client waits for the
// delivery, which has had no turn.
func Turn(ctx context.Context) (destination string, queued bool) {
	destination, queued = ctx.Value(turnKey{}).(string)
	return destination, queued
}

// NotYet is the cause of the error for recipients whose destination takes no more
// messages for now, by the limits of its route. Nothing was tried.
type NotYet struct {
	// After is when the next message may be given to it; 0 is when another one is done.
	After time.Duration
}

// Error says why nothing was tried, in the queue's list and in the log.
func (n *NotYet) Error() string {
	return "the limits of the route are reached (concurrency, rate)"
}

// Untried reports whether err says that nothing was tried: it is NotYet.
func Untried(err error) bool {
	_, ok := errors.AsType[*NotYet](err)
	return ok
}

// Wait returns n as an error for the peer.
func (n *NotYet) Wait() error {
	return fault.New(fault.NextHop, "too many messages for this destination, try again later", n)
}
