package queue

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"sync"
	"time"
)

// Each attempt has a job of its own, which begins and ends in transactions of
// the queue: River is left nothing to record. What it cannot record, because the
// disk is full for longer than it tries, would otherwise stay "running" for ever.

// enqueue gives a delivery a job, which runs after wait. It is available at once,
// and not fetched before its time: River's scheduler, which depends on its
// election of a leader, has no part in it.
func enqueue(ctx context.Context, tx *sql.Tx, delivery int64, wait time.Duration) error {
	job, err := insertRow(ctx, tx, `INSERT INTO river_job (args, kind, max_attempts, scheduled_at)
		VALUES (jsonb_object('delivery', ?), ?, ?, strftime('%Y-%m-%d %H:%M:%f', 'now', ?))`,
		delivery, deliveryArgs{}.Kind(), math.MaxInt16, sqlSeconds(wait))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET job_id = ? WHERE id = ?`, job, delivery)
	return err
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

// claims are the jobs that have a worker in this process.
type claims struct {
	mu   sync.Mutex
	jobs map[int64]bool
}

// claim notes that a job has a worker until release.
func (c *claims) claim(job int64) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs == nil {
		c.jobs = map[int64]bool{}
	}
	c.jobs[job] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.jobs, job)
	}
}

func (c *claims) has(job int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobs[job]
}
