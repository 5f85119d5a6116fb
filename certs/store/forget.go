package store

import (
	"context"
	"crypto/sha256"
)

// Forget removes those of the certificates that were only harvested and of which
// there is no other reason to keep: no key, no mark, not pinned. It returns how many.
func (s *Store) Forget(ctx context.Context, fingerprints ...[sha256.Size]byte) (n int, err error) {
	if len(fingerprints) == 0 {
		return 0, nil
	}
	err = s.change(ctx, func(c *change) error {
		n = 0
		for _, fingerprint := range fingerprints {
			result, err := c.ExecContext(ctx, `DELETE FROM store_certificate WHERE fingerprint = $1 AND origin = $2 AND mark = '' AND NOT pinned
				AND NOT EXISTS (SELECT 1 FROM store_key k WHERE k.fingerprint = store_certificate.fingerprint)`, fingerprint[:], string(Harvested))
			if err != nil {
				return err
			}
			gone, err := result.RowsAffected()
			if err != nil {
				return err
			}
			n += int(gone)
		}
		c.certificates = n > 0
		if n == 0 {
			return nil
		}
		return dropIntermediates(ctx, c)
	})
	if err != nil {
		return 0, failed(err)
	}
	return n, nil
}
