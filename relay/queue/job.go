package queue

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// Each attempt has a job of its own, a row in River's table, which begins and ends in
// transactions of the queue. River's client takes no part: it would commit each step
// of a job by itself, look for jobs many times a second, and give up on recording what
// became of them when the disk is full for some seconds.

// job is an attempt to make.
type job struct {
	id, delivery int64
	destination  string
	attempts     int    // that were made before
	lined        bool   // it stands in line at its destination
	fresh        *fresh // the delivery, if it was stored in the transaction that took the job
}

// kind is what River's table calls our jobs.
const kind = "delivery"

// The priorities of jobs, as River has them: new mail does not wait behind what was
// tried before.
const (
	firstAttempt = 1
	retry        = 2
)

// priorityAfter is the priority of the attempt that follows so many.
func priorityAfter(attempts int) int {
	if attempts == 0 {
		return firstAttempt
	}
	return retry
}

// enqueue gives a delivery a job, which runs after wait.
func (s *Store) enqueue(ctx context.Context, tx *sql.Tx, delivery int64, priority int, wait time.Duration) error {
	job, err := s.insertRow(ctx, tx, s.engine.enqueue, delivery, kind, math.MaxInt16, priority, wait.Seconds())
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET job_id = $1 WHERE id = $2`, job, delivery)
	return err
}

// jobDue reports whether there is a job to run.
func (s *Store) jobDue(ctx context.Context) (due bool, err error) {
	err = s.db.QueryRowContext(ctx, s.engine.dueNow).Scan(&due)
	return due, err
}

// dueJobs calls each with due jobs of a priority until it returns false. On PostgreSQL
// it does so with limit jobs at most. It stops reading in place of a LIMIT on SQLite.
func (s *Store) dueJobs(ctx context.Context, tx *sql.Tx, priority, limit int, each func(job) bool) error {
	args := []any{priority}
	if s.engine.shared {
		args = append(args, limit)
	}
	rows, err := tx.QueryContext(ctx, s.engine.due, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachJob(rows, each)
}

// eachJob calls each with the jobs in rows until it returns false.
func eachJob(rows *sql.Rows, each func(job) bool) error {
	for rows.Next() {
		var j job
		if err := rows.Scan(&j.id, &j.delivery, &j.destination, &j.attempts, &j.lined); err != nil {
			return err
		}
		if !each(j) {
			break
		}
	}
	return rows.Err()
}

// take marks jobs as running.
func (s *Store) take(ctx context.Context, tx *sql.Tx, jobs []job) error {
	var ids []int64
	for _, j := range jobs {
		ids = append(ids, j.id)
	}
	if s.engine.shared {
		if len(ids) == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, s.engine.take, ids)
		return err
	}
	for _, id := range ids {
		if _, err := tx.ExecContext(ctx, s.engine.take, id); err != nil {
			return err
		}
	}
	return nil
}

// endJob takes a job out. It reports false if it is gone: it ended before, or its
// lease did and another node has taken over.
func endJob(ctx context.Context, tx *sql.Tx, job int64) (bool, error) {
	res, err := tx.ExecContext(ctx, `DELETE FROM river_job WHERE id = $1`, job)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
