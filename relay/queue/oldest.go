package queue

import (
	"context"
	"time"
)

// Oldest returns since when the delivery that has waited longest is in the queue; the
// zero time where the queue is empty.
func (s *Store) Oldest(ctx context.Context) (time.Time, error) {
	var created int64
	err := s.db.QueryRowContext(ctx, `SELECT coalesce(min(created), 0) FROM smimerelay_delivery`).Scan(&created)
	if err != nil || created == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(created).UTC(), nil
}
