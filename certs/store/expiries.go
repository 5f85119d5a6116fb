package store

import (
	"context"
	"time"
)

// Expiry is how many certificates expire on a day, apart from those of authorities.
type Expiry struct {
	Day time.Time // its begin, UTC
	// Identities have a private key in the store; Others have none.
	Identities, Others int
}

const secondsOfDay = 24 * 60 * 60

// Expiries counts the certificates that expire from a time on and before another, by the day.
// Days without one are left out.
func (s *Store) Expiries(ctx context.Context, since, until time.Time) (days []Expiry, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT day, has_key, COUNT(*) FROM (
		SELECT c.not_after / 86400 AS day, EXISTS (SELECT 1 FROM store_key k WHERE k.fingerprint = c.fingerprint) AS has_key
		FROM store_certificate c WHERE c.not_after >= $1 AND c.not_after < $2 AND c.origin <> 'authority') AS ending
		GROUP BY day, has_key ORDER BY day`, since.Unix(), until.Unix())
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var day int64
		var identities bool
		var n int
		if err := rows.Scan(&day, &identities, &n); err != nil {
			return nil, failed(err)
		}
		at := time.Unix(day*secondsOfDay, 0).UTC()
		if len(days) == 0 || !days[len(days)-1].Day.Equal(at) {
			days = append(days, Expiry{Day: at})
		}
		if last := &days[len(days)-1]; identities {
			last.Identities += n
		} else {
			last.Others += n
		}
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return days, nil
}
