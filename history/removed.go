package history

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Removal is that an administrator took the mail to some recipients of a message out of the
// queue.
type Removal struct {
	ID         string
	Recipients []address.Address
	By, Reason string // the reason is "" where none was given
}

// Remove notes a removal.
func (s *Store) Remove(ctx context.Context, r Removal, at time.Time) error {
	if r.ID == "" {
		return nil // mail of the gateway's own has no rows
	}
	reason := "removed from the queue by an administrator"
	if r.Reason != "" {
		reason += ": " + r.Reason
	}
	var b Batch
	for _, to := range r.Recipients {
		b.Changes = append(b.Changes, Change{
			ID: r.ID, Recipient: to, Outcome: Removed, Event: Event{Time: at, Kind: Ended, Reason: reason, By: r.By},
		})
	}
	_, err := s.Write(ctx, b)
	return err
}
