package wire

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// Store puts what an answer says into a queue: it is on the disk when it returns
// nil. Without a queue only nothing can be stored.
func Store(ctx context.Context, q relay.Queue, b relay.Batch) error {
	switch {
	case b.Empty():
		return nil
	case q == nil:
		return fault.Of(errors.New("a message must be stored, but there is no queue"))
	}
	return q.Put(ctx, b)
}
