package store

import (
	"context"
	"time"
)

// Warned notes that the end of a certificate is told for a threshold, and reports
// whether that is the first time: it is for one caller only, on whatever node. The
// certificate need not be in the store.
func (s *Store) Warned(ctx context.Context, fingerprint [32]byte, threshold time.Duration) (first bool, err error) {
	result, err := s.write.ExecContext(ctx, `INSERT INTO store_warned (fingerprint, threshold) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		fingerprint[:], int64(threshold/time.Second))
	if err != nil {
		return false, failed(err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Unwarn takes back what Warned noted, where the warning could not be handed on.
func (s *Store) Unwarn(ctx context.Context, fingerprint [32]byte, threshold time.Duration) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM store_warned WHERE fingerprint = $1 AND threshold = $2`,
		fingerprint[:], int64(threshold/time.Second))
	if err != nil {
		return failed(err)
	}
	return nil
}
