package queue

import (
	"context"
	"database/sql"
	"errors"
)

// stray is a delivery that nothing will try: its job is gone or over, or is marked as
// running though no worker has it.
type stray struct {
	delivery, job int64
	attempts      int
}

// strays returns the deliveries without a job that runs or will run.
func (q *Queue) strays(ctx context.Context, tx *sql.Tx) ([]stray, error) {
	rows, err := tx.QueryContext(ctx, q.engine.strays)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []stray
	for rows.Next() {
		var s stray
		if err := rows.Scan(&s.delivery, &s.job, &s.attempts); err != nil {
			return nil, err
		}
		if !q.dispatcher.works(s.job) {
			all = append(all, s)
		}
	}
	return all, rows.Err()
}

// rescue gives a new job to every stray that chosen picks. A worker that comes to
// the old job late finds that it is not the delivery's any more, and leaves it.
func (q *Queue) rescue(ctx context.Context, chosen func(stray) bool) error {
	rescued := 0
	err := q.writer.write(ctx, func(tx *sql.Tx) error {
		rescued = 0
		if alone, err := q.aloneToRescue(ctx, tx); err != nil || !alone {
			return err
		}
		all, err := q.strays(ctx, tx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if !chosen(s) {
				continue
			}
			replaced, err := q.replaceJob(ctx, tx, s)
			if err != nil {
				return err
			}
			if replaced {
				rescued++
			}
		}
		return nil
	})
	if err == nil && rescued > 0 {
		q.config.Log.Warn("orphaned deliveries are retried", "deliveries", rescued)
	}
	return err
}

// rescueLock is held in a transaction that rescues: two nodes must not do it at once.
const rescueLock = 0x736d696d655f7273

// aloneToRescue reports whether no other node rescues at the moment.
func (q *Queue) aloneToRescue(ctx context.Context, tx *sql.Tx) (alone bool, err error) {
	if !q.engine.shared {
		return true, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(rescueLock)).Scan(&alone)
	if err == nil && alone {
		err = forgetNodes(ctx, tx)
	}
	return alone, err
}

// replaceJob gives a stray another job, unless its own has ended in the meantime.
func (q *Queue) replaceJob(ctx context.Context, tx *sql.Tx, s stray) (bool, error) {
	if _, err := endJob(ctx, tx, s.job); err != nil {
		return false, err
	}
	var job int64
	err := tx.QueryRowContext(ctx, `SELECT coalesce(job_id, 0) FROM smimerelay_delivery WHERE id = $1`, s.delivery).Scan(&job)
	if errors.Is(err, sql.ErrNoRows) || err == nil && job != s.job {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = q.enqueue(ctx, tx, s.delivery, priorityAfter(s.attempts), 0)
	return true, err
}
