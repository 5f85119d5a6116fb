package history

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Remove notes that an administrator took the mail to some recipients of a message out of the
// queue.
func (s *Store) Remove(ctx context.Context, id string, recipients []address.Address, by string, at time.Time) error {
	if id == "" {
		return nil // mail of the gateway's own has no rows
	}
	var b Batch
	for _, r := range recipients {
		b.Changes = append(b.Changes, Change{
			ID: id, Recipient: r, Outcome: Removed,
			Event: Event{Time: at, Kind: Ended, Reason: "removed from the queue by an administrator", By: by},
		})
	}
	_, err := s.Write(ctx, b)
	return err
}
