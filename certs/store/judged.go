package store

import (
	"context"
	"crypto/sha256"

	"github.com/smimerelay/smimerelay/certs"
)

// Judged notes verdicts on certificates, by fingerprint: for people who look at
// the store, not for the gateway, which judges again. Of certificates that are not
// in the store nothing is noted. It does not count as a change.
func (s *Store) Judged(ctx context.Context, verdicts map[[sha256.Size]byte]certs.Verdict) error {
	if len(verdicts) == 0 {
		return nil
	}
	err := s.change(ctx, func(c *change) error {
		for fingerprint, v := range verdicts {
			if _, err := c.ExecContext(ctx, `UPDATE store_certificate SET result = $1, reason = $2, judged_at = $3 WHERE fingerprint = $4`,
				string(v.Result), string(v.Reason), s.now(), fingerprint[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err)
	}
	return nil
}
