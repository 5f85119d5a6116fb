package history

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// Limits say what is kept.
type Limits struct {
	// Age is for how long, Size how many octets about; 0 is no limit.
	Age  time.Duration
	Size int64
}

// perDelete is how many rows one transaction deletes: what is written meanwhile waits for
// it.
const perDelete = 500

// Prune deletes the oldest rows until the limits are met, a few in each transaction, and
// returns how many. Their room in the file is used again.
func (s *Store) Prune(ctx context.Context, now time.Time, l Limits) (deleted int64, err error) {
	for {
		n, more, err := s.prune(ctx, now, l)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("history: %w", err)
		}
		if !more {
			return deleted, nil
		}
	}
}

// prune is one transaction of it.
func (s *Store) prune(ctx context.Context, now time.Time, l Limits) (deleted int64, more bool, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, false, err
	}
	defer tx.Rollback()
	n := make(counts)
	if l.Age > 0 {
		oldest := now.Add(-l.Age).UnixMilli()
		if deleted, err = deleteOldest(ctx, tx, oldest, n); err != nil {
			return 0, false, err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_history_hour WHERE hour < $1 AND kind <> $2`, oldest/hourMillis, string(countBytes)); err != nil {
			return 0, false, err
		}
	}
	more = deleted == perDelete
	if l.Size > 0 && !more {
		size, err := takenBy(ctx, tx)
		if err != nil {
			return 0, false, err
		}
		if size+n.bytes() > l.Size {
			d, err := deleteOldest(ctx, tx, math.MaxInt64, n)
			if err != nil {
				return 0, false, err
			}
			deleted, more = deleted+d, d > 0
		}
	}
	if err := n.store(ctx, tx); err != nil {
		return 0, false, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_history_hour WHERE kind = $1 AND number <= 0`, string(countBytes)); err != nil {
		return 0, false, err
	}
	return deleted, more, tx.Commit()
}

// deleteOldest deletes the oldest rows, some at most, that are from before a time, and
// notes what they took.
func deleteOldest(ctx context.Context, tx *sql.Tx, before int64, n counts) (deleted int64, err error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM smimerelay_history WHERE seq IN (
		SELECT seq FROM smimerelay_history WHERE time < $1 ORDER BY time, seq LIMIT $2) RETURNING time, kept`, before, perDelete)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var at, kept int64
		if err := rows.Scan(&at, &kept); err != nil {
			return 0, err
		}
		n.add(at, countBytes, "", "", -kept)
		deleted++
	}
	return deleted, rows.Err()
}

// bytes is what the counts say of the size.
func (n counts) bytes() (sum int64) {
	for c, number := range n {
		if c.kind == countBytes {
			sum += number
		}
	}
	return sum
}

// takenBy is about how many octets all rows take.
func takenBy(ctx context.Context, tx *sql.Tx) (size int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(number), 0) FROM smimerelay_history_hour WHERE kind = $1`, string(countBytes)).Scan(&size)
	return size, err
}
