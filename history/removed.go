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
	// Since is when the message came into the queue.
	Since time.Time
}

// Remove notes a removal. The rows of a message that has just come may still wait in a gateway to be
// written: Remove then waits for them, for a few seconds.
func (s *Store) Remove(ctx context.Context, r Removal, at time.Time) error {
	wait, cancel := context.WithTimeout(ctx, patienceAtEnd)
	defer cancel()
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	return s.remove(ctx, r, at, func() bool {
		select {
		case <-tick.C:
			return true
		case <-wait.Done():
			return false
		}
	})
}

// remove asks again whether to try another time, of rows that are not there and may still come.
func (s *Store) remove(ctx context.Context, r Removal, at time.Time, again func() bool) error {
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
	for {
		unmatched, err := s.Write(ctx, b)
		if err != nil || len(unmatched) == 0 || at.Sub(r.Since) > patienceAtEnd || !again() {
			return err
		}
		b.Changes = unmatched
	}
}
