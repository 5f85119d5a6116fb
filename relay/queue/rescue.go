package queue

import (
	"context"
	"database/sql"
)

// stray is a delivery that nothing will try: its job is gone or over, or is marked as
// running though no worker has it.
type stray struct{ delivery, job int64 }

const selectStrays = `SELECT d.id, coalesce(d.job_id, 0) FROM smimerelay_delivery d LEFT JOIN river_job j ON j.id = d.job_id
	WHERE j.id IS NULL OR j.state <> 'available'
	ORDER BY d.id`

// strays returns the deliveries without a job that runs or will run.
func (q *Queue) strays(ctx context.Context, tx *sql.Tx) ([]stray, error) {
	rows, err := tx.QueryContext(ctx, selectStrays)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []stray
	for rows.Next() {
		var s stray
		if err := rows.Scan(&s.delivery, &s.job); err != nil {
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
		all, err := q.strays(ctx, tx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if !chosen(s) {
				continue
			}
			if err := replaceJob(ctx, tx, s.job, s.delivery, 0); err != nil {
				return err
			}
			rescued++
		}
		return nil
	})
	if err == nil && rescued > 0 {
		q.config.Log.Warn("orphaned deliveries are retried", "deliveries", rescued)
	}
	return err
}
