package store

import (
	"context"
	"time"
)

// Warned notes that a warning was sent for a certificate and a threshold, and reports
// whether that is the first time: it is for one caller only, on whatever node. The
// certificate need not be in the store.
func (s *Store) Warned(ctx context.Context, fingerprint [32]byte, threshold time.Duration) (first bool, err error) {
	ctx, end := claiming(ctx)
	defer end()
	result, err := s.write.ExecContext(ctx, `INSERT INTO store_warned (fingerprint, threshold) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		fingerprint[:], int64(threshold/time.Second))
	if err != nil {
		return false, failed(err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Unwarn undoes what Warned noted, where the warning could not be sent.
func (s *Store) Unwarn(ctx context.Context, fingerprint [32]byte, threshold time.Duration) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM store_warned WHERE fingerprint = $1 AND threshold = $2`,
		fingerprint[:], int64(threshold/time.Second))
	if err != nil {
		return failed(err)
	}
	return nil
}
