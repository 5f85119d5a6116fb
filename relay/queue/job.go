package queue

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"time"
)

// Each attempt has a job of its own, a row in River's table, which begins and ends in
// transactions of the queue. River's client takes no part: it would commit each step
// of a job by itself, look for jobs many times a second, and give up on recording what
// became of them when the disk is full for some seconds.

// job is an attempt to make.
type job struct{ id, delivery int64 }

// kind is what River's table calls our jobs.
const kind = "delivery"

// enqueue gives a delivery a job, which runs after wait.
func enqueue(ctx context.Context, tx *sql.Tx, delivery int64, wait time.Duration) error {
	job, err := insertRow(ctx, tx, `INSERT INTO river_job (args, kind, max_attempts, scheduled_at)
		VALUES (jsonb_object('delivery', ?), ?, ?, strftime('%Y-%m-%d %H:%M:%f', 'now', ?))`,
		delivery, kind, math.MaxInt16, sqlSeconds(wait))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET job_id = ? WHERE id = ?`, job, delivery)
	return err
}

// selectDue are the jobs that are to run now, the longest due first, as River's index
// has them.
const selectDue = `SELECT id, coalesce(json_extract(args, '$.delivery'), 0) FROM river_job
	WHERE state = 'available' AND queue = 'default' AND priority = 1
	AND scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') ORDER BY scheduled_at, id`

// jobDue reports whether there is a job to run.
func (s *Store) jobDue(ctx context.Context) (due bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT EXISTS (`+selectDue+`)`).Scan(&due)
	return due, err
}

// takeJobs marks up to n due jobs as running.
func takeJobs(ctx context.Context, tx *sql.Tx, n int) ([]job, error) {
	jobs, err := dueJobs(ctx, tx, n)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if _, err := tx.ExecContext(ctx, `UPDATE river_job SET state = 'running' WHERE id = ?`, j.id); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// dueJobs returns up to n due jobs. It stops reading in place of a LIMIT, with whose
// parameter SQLite would compile the statement again each time.
func dueJobs(ctx context.Context, tx *sql.Tx, n int) (jobs []job, err error) {
	rows, err := tx.QueryContext(ctx, selectDue)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for len(jobs) < n && rows.Next() {
		var j job
		if err := rows.Scan(&j.id, &j.delivery); err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}

// endJob takes a job out.
func endJob(ctx context.Context, tx *sql.Tx, job int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM river_job WHERE id = ?`, job)
	return err
}

// replaceJob ends a job and gives its delivery another one.
func replaceJob(ctx context.Context, tx *sql.Tx, job, delivery int64, wait time.Duration) error {
	if err := endJob(ctx, tx, job); err != nil {
		return err
	}
	return enqueue(ctx, tx, delivery, wait)
}

// sqlSeconds is a wait as the date functions of SQLite read it.
func sqlSeconds(wait time.Duration) string {
	return strconv.FormatFloat(wait.Seconds(), 'f', 3, 64) + " seconds"
}
